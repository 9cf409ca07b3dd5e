// gelu(gate + bias) * (up + bias), of a joined product [rows, 2 * width]. One thread an output.
int width = product_shape[1] / 2;
int d = int(thread_position_in_grid.x);
uint row = thread_position_in_grid.y;
if (d < width) {
    float gate = float(product[size_t(row) * 2 * width + d]);
    float up = float(product[size_t(row) * 2 * width + width + d]);
    if (BIAS) {
        gate += float(bias[d]);
        up += float(bias[width + d]);
    }
    y[size_t(row) * width + d] = T(rg_gelu(gate) * up);
}
