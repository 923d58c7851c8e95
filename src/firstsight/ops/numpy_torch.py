"""Differences between NumPy and PyTorch, and some cases where they agree although one expects a difference.

A test runs the examples and compares their results with those stated here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """The same operation in NumPy and in PyTorch.

    Attributes
    ----------
    topic : str
        Name of the operation.
    numpy : str
        NumPy code, with ``np`` imported; the last line is an expression.
    numpy_result : str
        Printed value of that expression, or the name of the exception that it raises.
    torch : str
        PyTorch code, with ``np`` and ``torch`` imported; the last line is an expression.
    torch_result : str
        Printed value of that expression, or the name of the exception that it raises.
    difference : str
        The difference in one sentence.
    """

    topic: str
    numpy: str
    numpy_result: str
    torch: str
    torch_result: str
    difference: str


NUMPY_AND_TORCH = (
    Difference(
        "axis argument",
        "np.ones((2, 3)).sum(axis=0)",
        "[2. 2. 2.]",
        "torch.ones(2, 3).sum(dim=0)",
        "tensor([2., 2., 2.])",
        "NumPy's argument is axis, PyTorch's is dim (PyTorch also accepts axis).",
    ),
    Difference(
        "keeping the reduced axis",
        "np.ones((2, 3)).sum(axis=1, keepdims=True).shape",
        "(2, 1)",
        "torch.ones(2, 3).sum(dim=1, keepdim=True).shape",
        "torch.Size([2, 1])",
        "The argument is keepdims in NumPy and keepdim in PyTorch.",
    ),
    Difference(
        "permuting axes",
        "np.zeros((4, 5, 3)).transpose(2, 0, 1).shape",
        "(3, 4, 5)",
        "torch.zeros(4, 5, 3).permute(2, 0, 1).shape",
        "torch.Size([3, 4, 5])",
        "NumPy's transpose permutes all axes, like PyTorch's permute; PyTorch's transpose swaps two axes.",
    ),
    Difference(
        "default type of floats",
        "np.array([1.0, 2.0]).dtype",
        "float64",
        "torch.tensor([1.0, 2.0]).dtype",
        "torch.float32",
        "Floating-point numbers default to float64 in NumPy and float32 in PyTorch.",
    ),
    Difference(
        "default type of integers",
        "np.array([1, 2]).dtype",
        "int64",
        "torch.tensor([1, 2]).dtype",
        "torch.int64",
        "Integers default to int64 in both.",
    ),
    Difference(
        "integer division with /",
        "(np.array([7]) / np.array([2])).dtype",
        "float64",
        "(torch.tensor([7]) / torch.tensor([2])).dtype",
        "torch.float32",
        "Both return floats: float64 in NumPy, float32 in PyTorch.",
    ),
    Difference(
        "integer division with //",
        "np.array([7, -7]) // 2",
        "[ 3 -4]",
        "torch.tensor([7, -7]) // 2",
        "tensor([ 3, -4])",
        "Both round toward negative infinity.",
    ),
    Difference(
        "integer division by zero",
        "np.array([1]) // np.array([0])",
        "[0]",
        "torch.tensor([1]) // torch.tensor([0])",
        "RuntimeError",
        "NumPy warns and returns 0, PyTorch raises an error.",
    ),
    Difference(
        "mean of integers",
        "np.array([1, 2]).mean()",
        "1.5",
        "torch.tensor([1, 2]).mean()",
        "RuntimeError",
        "NumPy converts to float64, PyTorch requires an explicit conversion (.float()).",
    ),
    Difference(
        "matrix product of two types",
        "(np.ones(2, np.float32) @ np.ones(2, np.float64)).dtype",
        "float64",
        "torch.ones(2) @ torch.ones(2, dtype=torch.float64)",
        "RuntimeError",
        "Both promote types in addition, but PyTorch's matrix product requires equal types.",
    ),
    Difference(
        "type conversion",
        "np.array([1.9, -1.9]).astype(np.int64)",
        "[ 1 -1]",
        "torch.tensor([1.9, -1.9]).to(torch.int64)",
        "tensor([ 1, -1])",
        "NumPy's astype is PyTorch's to, which also moves tensors between devices; both truncate toward zero.",
    ),
    Difference(
        "sum of booleans",
        "np.array([True, True, False]).sum()",
        "2",
        "torch.tensor([True, True, False]).sum()",
        "tensor(2)",
        "Both count the True values; PyTorch returns a tensor without axes, not a number.",
    ),
    Difference(
        "sum of uint8",
        "np.array([200, 100], np.uint8).sum().dtype",
        "uint64",
        "torch.tensor([200, 100], dtype=torch.uint8).sum().dtype",
        "torch.int64",
        "Both sum in a wider type, which is unsigned in NumPy and signed in PyTorch.",
    ),
    Difference(
        "sharing memory",
        "a = np.zeros(2)\nb = np.asarray(a)\na[0] = 1\nb",
        "[1. 0.]",
        "a = np.zeros(2)\nt = torch.from_numpy(a)\na[0] = 1\nt",
        "tensor([1., 0.], dtype=torch.float64)",
        "from_numpy does not copy: tensor and array share memory, as with np.asarray.",
    ),
    Difference(
        "copying",
        "a = np.zeros(2)\nb = np.array(a)\na[0] = 1\nb",
        "[0. 0.]",
        "a = np.zeros(2)\nt = torch.tensor(a)\na[0] = 1\nt",
        "tensor([0., 0.], dtype=torch.float64)",
        "torch.tensor always copies, as np.array does.",
    ),
    Difference(
        "slices are views",
        "a = np.zeros(3)\na[1:][0] = 1\na",
        "[0. 1. 0.]",
        "t = torch.zeros(3)\nt[1:][0] = 1\nt",
        "tensor([0., 1., 0.])",
        "A slice shares memory with its array or tensor in both.",
    ),
    Difference(
        "memory layout of a transpose",
        "np.zeros((2, 3)).T.flags.c_contiguous",
        "False",
        "torch.zeros(2, 3).T.is_contiguous()",
        "False",
        "A transposed view is not contiguous in both; ascontiguousarray is contiguous() in PyTorch.",
    ),
    Difference(
        "reshaping a transposed view",
        "np.zeros((2, 3)).T.reshape(6).shape",
        "(6,)",
        "torch.zeros(2, 3).T.view(6)",
        "RuntimeError",
        "reshape copies if necessary in both; PyTorch's view never copies and raises an error instead.",
    ),
    Difference(
        "view",
        "np.zeros(1).view(np.int64)",
        "[0]",
        "torch.zeros(2, 3).view(3, 2).shape",
        "torch.Size([3, 2])",
        "NumPy's view reinterprets the bytes as another type; PyTorch's changes the shape, or the type if given one.",
    ),
    Difference(
        "in-place operations",
        "a = np.zeros(2)\nnp.add(a, 1, out=a)\na",
        "[1. 1.]",
        "t = torch.zeros(2)\nt.add_(1)\nt",
        "tensor([1., 1.])",
        "PyTorch's methods that end in an underscore modify their tensor; NumPy has out=.",
    ),
    Difference(
        "out argument",
        "a = np.zeros(2)\nnp.multiply(np.ones(2), 3, out=a)\na",
        "[3. 3.]",
        "t = torch.zeros(2)\ntorch.mul(torch.ones(2), 3, out=t)\nt",
        "tensor([3., 3.])",
        "Both have out=; PyTorch does not support it for tensors that require gradients.",
    ),
    Difference(
        "device",
        "hasattr(np.zeros(2), 'cuda')",
        "False",
        "torch.zeros(2).device",
        "cpu",
        "A tensor is on a device and is moved with to; an array is in CPU memory.",
    ),
    Difference(
        "gradients",
        "hasattr(np.zeros(2), 'grad')",
        "False",
        "torch.zeros(2, requires_grad=True).numpy()",
        "RuntimeError",
        "A tensor can record its computation for autograd; it must be detached before conversion to an array.",
    ),
    Difference(
        "broadcasting",
        "(np.ones((3, 1)) + np.ones(4)).shape",
        "(3, 4)",
        "(torch.ones(3, 1) + torch.ones(4)).shape",
        "torch.Size([3, 4])",
        "Both align shapes at the last axis and expand axes of length 1.",
    ),
    Difference(
        "median of an even count",
        "np.median(np.array([1.0, 2.0, 3.0, 4.0]))",
        "2.5",
        "torch.median(torch.tensor([1.0, 2.0, 3.0, 4.0]))",
        "tensor(2.)",
        "NumPy returns the mean of the two middle values, PyTorch the lower one.",
    ),
    Difference(
        "standard deviation",
        "np.array([1.0, 3.0]).std()",
        "1.0",
        "torch.tensor([1.0, 3.0]).std()",
        "tensor(1.4142)",
        "NumPy divides by n (ddof=0), PyTorch by n - 1 (correction=1).",
    ),
    Difference(
        "maximum along an axis",
        "np.array([[1.0, 3.0]]).max(axis=1)",
        "[3.]",
        "values, indices = torch.tensor([[1.0, 3.0]]).max(dim=1)\n(values, indices)",
        "(tensor([3.]), tensor([1]))",
        "PyTorch's max along an axis returns values and indices; amax returns only the values.",
    ),
    Difference(
        "reversing",
        "np.array([1, 2, 3])[::-1]",
        "[3 2 1]",
        "torch.tensor([1, 2, 3])[::-1]",
        "ValueError",
        "PyTorch has no negative steps; flip(0) returns a reversed copy.",
    ),
    Difference(
        "size",
        "np.zeros((2, 3)).size",
        "6",
        "(torch.zeros(2, 3).size(), torch.zeros(2, 3).numel())",
        "(torch.Size([2, 3]), 6)",
        "NumPy's size is the number of elements; PyTorch's size() is the shape, and numel() the number of elements.",
    ),
    Difference(
        "truth value",
        "bool(np.array([1, 0]))",
        "ValueError",
        "bool(torch.tensor([1, 0]))",
        "RuntimeError",
        "Both raise an error for more than one element (use any or all), but of different types.",
    ),
    Difference(
        "indexing one element",
        "type(np.zeros(2)[0]).__name__",
        "float64",
        "type(torch.zeros(2)[0]).__name__",
        "Tensor",
        "An element of an array is a number, an element of a tensor is a tensor; item() converts it.",
    ),
    Difference(
        "repeat",
        "np.array([1, 2]).repeat(2)",
        "[1 1 2 2]",
        "torch.tensor([1, 2]).repeat(2)",
        "tensor([1, 2, 1, 2])",
        "NumPy's repeat repeats each element, like PyTorch's repeat_interleave; PyTorch's repeat is NumPy's tile.",
    ),
    Difference(
        "concatenation",
        "np.concatenate([np.zeros(1), np.ones(1)], axis=0)",
        "[0. 1.]",
        "torch.cat([torch.zeros(1), torch.ones(1)], dim=0)",
        "tensor([0., 1.])",
        "NumPy's concatenate is PyTorch's cat.",
    ),
    Difference(
        "clipping",
        "np.array([-1.0, 0.5, 2.0]).clip(0, 1)",
        "[0.  0.5 1. ]",
        "torch.tensor([-1.0, 0.5, 2.0]).clamp(0, 1)",
        "tensor([0.0000, 0.5000, 1.0000])",
        "NumPy's clip is PyTorch's clamp (PyTorch also has clip).",
    ),
)
