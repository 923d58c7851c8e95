"""Networks, one file each, pure modules on tensors: `classification`, `gan` and `pose`. `registry` lists them all."""
