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

// 1 - a*a for a = exp(log_a). Near a = 1 the plain difference loses the digits that matter, so there
// it is the Taylor series of -expm1(2 log_a), whose first term left out is below 5e-8.
METAL_FUNC float rg_one_minus_square(float a, float log_a) {
    float x = 2.0f * log_a;
    float s = metal::fma(x, 1.0f / 720.0f, 1.0f / 120.0f);
    s = metal::fma(x, s, 1.0f / 24.0f);
    s = metal::fma(x, s, 1.0f / 6.0f);
    s = metal::fma(x, s, 0.5f);
    s = metal::fma(x, s, 1.0f);
    return (x > -0.25f) ? -x * s : 1.0f - a * a;
}

// gelu with tanh: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), and 0.5 (1 + tanh z) is sigmoid(2z).
METAL_FUNC float rg_gelu(float x) {
    return x * rg_sigmoid<false>(1.5957691216057308f * (x + 0.044715f * x * x * x));
}
