// gelu(gate + bias) * (up + bias), of a joined product [..., 2 * WIDTH]. One thread an output.
int d = int(thread_position_in_grid.x);
uint row = thread_position_in_grid.y;
if (d < WIDTH) {
    float gate = float(product[size_t(row) * 2 * WIDTH + d]);
    float up = float(product[size_t(row) * 2 * WIDTH + WIDTH + d]);
    if (BIAS) {
        gate += float(bias[d]);
        up += float(bias[WIDTH + d]);
    }
    y[size_t(row) * WIDTH + d] = T(rg_gelu(gate) * up);
}
