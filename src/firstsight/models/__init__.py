"""Networks for classification, GANs and pose estimation, one per file; `registry` lists them all."""
