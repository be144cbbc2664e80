"""The fine-tuned encoder: training (torch), export, and the fast engine (ONNX Runtime, without torch)."""
