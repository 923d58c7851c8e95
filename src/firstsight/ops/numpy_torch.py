"""Where NumPy and torch differ, and a few places where one expects it and they do not.

The examples are run by a test, and their results compared with those written here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """The same wish in NumPy and in torch.

    Parameters
    ----------
    topic : str
        What it is about.
    numpy, torch : str
        Code, with ``np`` and ``torch`` imported; the last line is an expression.
    numpy_result, torch_result : str
        What printing that expression shows, or the name of the exception it raises.
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
        "name of an axis",
        "np.ones((2, 3)).sum(axis=0)", "[2. 2. 2.]",
        "torch.ones(2, 3).sum(dim=0)", "tensor([2., 2., 2.])",
        "What NumPy calls axis, torch calls dim (and takes axis too).",
    ),
    Difference(
        "keeping an axis",
        "np.ones((2, 3)).sum(axis=1, keepdims=True).shape", "(2, 1)",
        "torch.ones(2, 3).sum(dim=1, keepdim=True).shape", "torch.Size([2, 1])",
        "keepdims has an s in NumPy, keepdim has none in torch.",
    ),
    Difference(
        "order of axes",
        "np.zeros((4, 5, 3)).transpose(2, 0, 1).shape", "(3, 4, 5)",
        "torch.zeros(4, 5, 3).permute(2, 0, 1).shape", "torch.Size([3, 4, 5])",
        "NumPy's transpose orders all axes, which in torch is permute; torch's transpose swaps two.",
    ),
    Difference(
        "type of decimal numbers",
        "np.array([1.0, 2.0]).dtype", "float64",
        "torch.tensor([1.0, 2.0]).dtype", "torch.float32",
        "Decimal numbers are float64 in NumPy and float32 in torch, if nothing is said.",
    ),
    Difference(
        "type of whole numbers",
        "np.array([1, 2]).dtype", "int64",
        "torch.tensor([1, 2]).dtype", "torch.int64",
        "Whole numbers are int64 in both.",
    ),
    Difference(
        "whole numbers divided",
        "(np.array([7]) / np.array([2])).dtype", "float64",
        "(torch.tensor([7]) / torch.tensor([2])).dtype", "torch.float32",
        "A single slash gives decimal numbers in both, of each library's own type.",
    ),
    Difference(
        "whole numbers divided, rounded",
        "np.array([7, -7]) // 2", "[ 3 -4]",
        "torch.tensor([7, -7]) // 2", "tensor([ 3, -4])",
        "A double slash rounds down in both, also below zero.",
    ),
    Difference(
        "whole numbers divided by zero",
        "np.array([1]) // np.array([0])", "[0]",
        "torch.tensor([1]) // torch.tensor([0])", "RuntimeError",
        "NumPy warns and gives 0, torch refuses.",
    ),
    Difference(
        "mean of whole numbers",
        "np.array([1, 2]).mean()", "1.5",
        "torch.tensor([1, 2]).mean()", "RuntimeError",
        "NumPy goes over to decimal numbers, torch wants them made first (.float()).",
    ),
    Difference(
        "two types in one product",
        "(np.ones(2, np.float32) @ np.ones(2, np.float64)).dtype", "float64",
        "torch.ones(2) @ torch.ones(2, dtype=torch.float64)", "RuntimeError",
        "Both mix types when they add, but torch's matrix product wants one type.",
    ),
    Difference(
        "another type",
        "np.array([1.9, -1.9]).astype(np.int64)", "[ 1 -1]",
        "torch.tensor([1.9, -1.9]).to(torch.int64)", "tensor([ 1, -1])",
        "astype is to (which also moves to another device); both cut the decimals off.",
    ),
    Difference(
        "sum of true and false",
        "np.array([True, True, False]).sum()", "2",
        "torch.tensor([True, True, False]).sum()", "tensor(2)",
        "Both count; torch's answer is a tensor without axes, not a number.",
    ),
    Difference(
        "sum of bytes",
        "np.array([200, 100], np.uint8).sum().dtype", "uint64",
        "torch.tensor([200, 100], dtype=torch.uint8).sum().dtype", "torch.int64",
        "Both sum in a wider type; torch's can be negative, NumPy's cannot.",
    ),
    Difference(
        "sharing memory",
        "a = np.zeros(2)\nb = np.asarray(a)\na[0] = 1\nb", "[1. 0.]",
        "a = np.zeros(2)\nt = torch.from_numpy(a)\na[0] = 1\nt", "tensor([1., 0.], dtype=torch.float64)",
        "from_numpy copies nothing: tensor and array are the same memory, as with asarray.",
    ),
    Difference(
        "copying",
        "a = np.zeros(2)\nb = np.array(a)\na[0] = 1\nb", "[0. 0.]",
        "a = np.zeros(2)\nt = torch.tensor(a)\na[0] = 1\nt", "tensor([0., 0.], dtype=torch.float64)",
        "torch.tensor always copies, as np.array does.",
    ),
    Difference(
        "a slice is a view",
        "a = np.zeros(3)\na[1:][0] = 1\na", "[0. 1. 0.]",
        "t = torch.zeros(3)\nt[1:][0] = 1\nt", "tensor([0., 1., 0.])",
        "A slice shares the memory of what it was cut from in both.",
    ),
    Difference(
        "what a transposition does to memory",
        "np.zeros((2, 3)).T.flags.c_contiguous", "False",
        "torch.zeros(2, 3).T.is_contiguous()", "False",
        "A transposed view lies in another order in both; ascontiguousarray is contiguous() in torch.",
    ),
    Difference(
        "another shape of a transposed view",
        "np.zeros((2, 3)).T.reshape(6).shape", "(6,)",
        "torch.zeros(2, 3).T.view(6)", "RuntimeError",
        "reshape copies where it must in both; torch's view never copies, and refuses.",
    ),
    Difference(
        "what view means",
        "np.zeros(1).view(np.int64)", "[0]",
        "torch.zeros(2, 3).view(3, 2).shape", "torch.Size([3, 2])",
        "NumPy's view reads the same bytes as another type; torch's gives another shape (given a type, the same).",
    ),
    Difference(
        "in place",
        "a = np.zeros(2)\nnp.add(a, 1, out=a)\na", "[1. 1.]",
        "t = torch.zeros(2)\nt.add_(1)\nt", "tensor([1., 1.])",
        "torch's methods that end in an underscore write over their tensor; NumPy has out=.",
    ),
    Difference(
        "writing into what is there",
        "a = np.zeros(2)\nnp.multiply(np.ones(2), 3, out=a)\na", "[3. 3.]",
        "t = torch.zeros(2)\ntorch.mul(torch.ones(2), 3, out=t)\nt", "tensor([3., 3.])",
        "out= is in both; torch allows it only where no gradient is wanted.",
    ),
    Difference(
        "device",
        "hasattr(np.zeros(2), 'cuda')", "False",
        "torch.zeros(2).device", "cpu",
        "A tensor lies on a device and is moved with to; an array lies in the computer's memory.",
    ),
    Difference(
        "gradients",
        "hasattr(np.zeros(2), 'grad')", "False",
        "torch.zeros(2, requires_grad=True).numpy()", "RuntimeError",
        "A tensor may keep how it was computed, and must be detached before it becomes an array.",
    ),
    Difference(
        "broadcasting",
        "(np.ones((3, 1)) + np.ones(4)).shape", "(3, 4)",
        "(torch.ones(3, 1) + torch.ones(4)).shape", "torch.Size([3, 4])",
        "Shapes are matched from the last axis, an axis of length 1 is stretched: the same rule in both.",
    ),
    Difference(
        "median of an even count",
        "np.median(np.array([1.0, 2.0, 3.0, 4.0]))", "2.5",
        "torch.median(torch.tensor([1.0, 2.0, 3.0, 4.0]))", "tensor(2.)",
        "NumPy takes the middle of the two in the middle, torch the lower one.",
    ),
    Difference(
        "standard deviation",
        "np.array([1.0, 3.0]).std()", "1.0",
        "torch.tensor([1.0, 3.0]).std()", "tensor(1.4142)",
        "NumPy divides by n (ddof=0), torch by n - 1 (correction=1).",
    ),
    Difference(
        "maximum along an axis",
        "np.array([[1.0, 3.0]]).max(axis=1)", "[3.]",
        "values, indices = torch.tensor([[1.0, 3.0]]).max(dim=1)\n(values, indices)", "(tensor([3.]), tensor([1]))",
        "torch's max along an axis gives values and indices; amax gives the values alone.",
    ),
    Difference(
        "backwards",
        "np.array([1, 2, 3])[::-1]", "[3 2 1]",
        "torch.tensor([1, 2, 3])[::-1]", "ValueError",
        "torch has no negative steps: flip(0) gives a reversed copy.",
    ),
    Difference(
        "size",
        "np.zeros((2, 3)).size", "6",
        "(torch.zeros(2, 3).size(), torch.zeros(2, 3).numel())", "(torch.Size([2, 3]), 6)",
        "NumPy's size is the count of the elements; torch's size() is the shape, and the count is numel().",
    ),
    Difference(
        "true or false",
        "bool(np.array([1, 0]))", "ValueError",
        "bool(torch.tensor([1, 0]))", "RuntimeError",
        "Neither is true or false as a whole (say any or all), but the exceptions differ.",
    ),
    Difference(
        "one element",
        "type(np.zeros(2)[0]).__name__", "float64",
        "type(torch.zeros(2)[0]).__name__", "Tensor",
        "An element of an array is a number, an element of a tensor is a tensor; item() makes it one.",
    ),
    Difference(
        "repeating",
        "np.array([1, 2]).repeat(2)", "[1 1 2 2]",
        "torch.tensor([1, 2]).repeat(2)", "tensor([1, 2, 1, 2])",
        "NumPy repeats each element (torch: repeat_interleave), torch the whole (NumPy: tile).",
    ),
    Difference(
        "joining",
        "np.concatenate([np.zeros(1), np.ones(1)], axis=0)", "[0. 1.]",
        "torch.cat([torch.zeros(1), torch.ones(1)], dim=0)", "tensor([0., 1.])",
        "concatenate is cat.",
    ),
    Difference(
        "keeping within bounds",
        "np.array([-1.0, 0.5, 2.0]).clip(0, 1)", "[0.  0.5 1. ]",
        "torch.tensor([-1.0, 0.5, 2.0]).clamp(0, 1)", "tensor([0.0000, 0.5000, 1.0000])",
        "clip is clamp (torch knows clip too).",
    ),
)  # fmt: skip
