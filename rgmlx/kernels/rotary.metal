// Splits the joined product of queries, keys and values [batch, time, heads * size] into [batch, heads,
// time, size] each, adds the bias, and turns the first 2 * half dimensions of queries and keys by their angles.
// Launch: threads (THREADS), threadgroups (batch * time * heads, pieces of a head).
int size = SIZE;
int e = int(threadgroup_position_in_grid.y * THREADS + thread_position_in_threadgroup.x);
int time = product_shape[1];
uint row = threadgroup_position_in_grid.x;
int head = int(row % HEADS);
int t = int(row / HEADS % uint(time));
uint b = row / HEADS / uint(time);
int half_turn = cosine_shape[3];
if (e < size) {
    size_t from = (size_t(b) * time + t) * HEADS * size + head * size;
    float value = float(product[from + e]) + (BIAS ? float(bias[head * size + e]) : 0.0f);
    bool is_query = head < QUERIES;
    bool is_value = head >= QUERIES + KEYS;
    if (!is_value && e < 2 * half_turn) {
        bool low = e < half_turn;
        int partner = low ? e + half_turn : e - half_turn;
        int angle = low ? e : partner;
        float other = float(product[from + partner]) + (BIAS ? float(bias[head * size + partner]) : 0.0f);
        // Both rounded first, as separate operations would.
        value = float(T(value));
        other = float(T(other));
        float c = cosine[(size_t(b) * time + t) * half_turn + angle];
        float s = sine[(size_t(b) * time + t) * half_turn + angle];
        value = value * c + (low ? -other * s : other * s);
    }
    if (is_query) {
        query[((size_t(b) * QUERIES + head) * time + t) * size + e] = T(value);
    } else if (is_value) {
        values[((size_t(b) * KEYS + head - QUERIES - KEYS) * time + t) * size + e] = T(value);
    } else {
        keys[((size_t(b) * KEYS + head - QUERIES) * time + t) * size + e] = T(value);
    }
}
