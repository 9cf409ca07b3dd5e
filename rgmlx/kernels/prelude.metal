// Shared arithmetic of the kernels, in float32. Metal has neither expm1 nor log1p.
// FAST: for 16-bit models, whose own rounding is thousands of times coarser.

template <bool FAST>
METAL_FUNC float rg_sigmoid(float z) {
    float e = FAST ? metal::fast::exp(-z) : metal::precise::exp(-z);
    return metal::fast::divide(1.0f, 1.0f + e);
}

template <bool FAST>
METAL_FUNC float rg_root(float x) {
    return FAST ? metal::fast::sqrt(x) : metal::precise::sqrt(x);
}

// log(1 + exp(z)). log1p after Kahan: the rounding of 1 + e cancels out.
METAL_FUNC float rg_softplus(float z) {
    float e = metal::precise::exp(-metal::abs(z));
    float u = 1.0f + e;
    float tail = (u == 1.0f) ? e : metal::precise::log(u) * (e / (u - 1.0f));
    return metal::max(z, 0.0f) + tail;
}

// p = 1 - exp(log_a), for log_a <= 0. Near a = 1 a difference loses the digits that matter, so there it is the
// Taylor series, whose first term left out is below 5e-8. From p follow a = 1 - p and 1 - a*a = p (2 - p).
template <bool FAST>
METAL_FUNC float rg_forget(float log_a) {
    float s = metal::fma(log_a, 1.0f / 720.0f, 1.0f / 120.0f);
    s = metal::fma(log_a, s, 1.0f / 24.0f);
    s = metal::fma(log_a, s, 1.0f / 6.0f);
    s = metal::fma(log_a, s, 0.5f);
    s = metal::fma(log_a, s, 1.0f);
    float a = FAST ? metal::fast::exp(log_a) : metal::precise::exp(log_a);
    return (log_a > -0.25f) ? -log_a * s : 1.0f - a;
}

// gelu with tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), and 0.5 (1 + tanh z) is sigmoid(2z).
METAL_FUNC float rg_gelu(float x) {
    return x * rg_sigmoid<false>(1.5957691216057308f * (x + 0.044715f * x * x * x));
}
