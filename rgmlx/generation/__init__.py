"""Token ids in, token ids out: prefill, decoding, sampling."""
