"""attnc beside PyTorch's own attentions: the same rows, one process, interleaved, judged by the numerics contract."""
