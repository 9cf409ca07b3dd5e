// gelu(gate + bias) * (up + bias). The two lie side by side in rows of STRIDE, SHIFT apart, or in arrays of their own.
// One thread an output. Launch: threads (256), threadgroups (rows, WIDTH / 256).
int d = int(threadgroup_position_in_grid.y * 256 + thread_position_in_threadgroup.x);
uint row = threadgroup_position_in_grid.x;
if (d < WIDTH) {
    float first = float(gate[size_t(row) * STRIDE + d]);
    float second = float(up[size_t(row) * STRIDE + SHIFT + d]);
    if (BIAS) {
        first += float(bias[d]);
        second += float(bias[WIDTH + d]);
    }
    y[size_t(row) * WIDTH + d] = T(rg_gelu(first) * second);
}
