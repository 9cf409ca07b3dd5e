// Runs one kernel over a Metal grid. Every GPU thread is a fiber that stops at barriers and simd operations until
// the others have come; which fiber goes next is the schedule. Never instrumented itself: it tells TSan of its fibers.
#ifdef __APPLE__  // has <ucontext.h> for those who ask for it
#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#define MSL_RUNTIME
#include "metal.h"

extern "C" void msl_entry(void** buffers, const msl_thread* t);
#ifdef __APPLE__
extern "C" char __start_msl_tg[] __asm("section$start$__DATA$msl_tg"), __stop_msl_tg[] __asm("section$end$__DATA$msl_tg");
#else
extern "C" char __start_msl_tg[] __attribute__((weak)), __stop_msl_tg[] __attribute__((weak));
#endif
#ifdef MSL_TSAN
extern "C" void *__tsan_get_current_fiber(), *__tsan_create_fiber(unsigned), __tsan_destroy_fiber(void*);
extern "C" void __tsan_switch_to_fiber(void*, unsigned), __tsan_acquire(void*), __tsan_release(void*);
#else
static void* __tsan_get_current_fiber() { return nullptr; }
static void* __tsan_create_fiber(unsigned) { return nullptr; }
static void __tsan_destroy_fiber(void*) {}
static void __tsan_switch_to_fiber(void*, unsigned) {}
static void __tsan_acquire(void*) {}
static void __tsan_release(void*) {}
#endif
extern "C" __attribute__((weak)) __bf16 __truncsfbf2(float f) {  // to nearest even; older libgcc lacks it
  uint32_t b;
  memcpy(&b, &f, 4);
  uint16_t r = (b & 0x7fffffffu) > 0x7f800000u ? (b >> 16) | 0x40 : (b + 0x7fff + (b >> 16 & 1)) >> 16;
  __bf16 out;
  memcpy(&out, &r, 2);
  return out;
}

namespace {
struct Options { int64_t grid[3], group[3], order, seed, fill, count; } o;  // as written by run.py
const size_t STACK = 256 << 10, MAX_THREADS = 1024, MAX_MEMORY = 32768;
enum State { READY, AT_BARRIER, AT_SIMD, DONE };
const char* const NAMES[] = {"ready", "at a threadgroup_barrier", "at a simd operation", "finished"};
struct Fiber {
  ucontext_t context;
  State state;
  int line;
  unsigned barriers, exchanges;
  void* tsan;
  msl_thread t;
} fibers[MAX_THREADS], *now = fibers;
struct Simd { int came, line; float slots[2][32]; } simds[32];
ucontext_t scheduler;
int threads, waiting, barrier_line;
char error[400], meeting[2], group_end, *stacks;
void **buffers, *main_tsan;
uint32_t random_state;

void arrange(int* a, int n) {  // 0 forward, 1 backward, else random
  for (int i = 0; i < n; i++) a[i] = o.order == 1 ? n - 1 - i : i;
  for (int i = n - 1; i > 0 && o.order > 1; i--) {
    random_state = random_state * 1664525u + 1013904223u;
    int j = int((random_state >> 8) % uint32_t(i + 1)), t = a[i];
    a[i] = a[j];
    a[j] = t;
  }
}
void pause_fiber() {
  __tsan_switch_to_fiber(main_tsan, 1);  // 1: being scheduled orders nothing
  swapcontext(&now->context, &scheduler);
}
void fail(const char* what, int line) {
  if (!error[0]) snprintf(error, sizeof error, "%s (line %d)", what, line);
  pause_fiber();
}
void fiber_main() {
  msl_entry(buffers, &now->t);
  now->state = DONE;
  __tsan_release(&group_end);
  pause_fiber();
}
bool resume(int i) {
  if (i >= threads || fibers[i].state != READY || error[0]) return false;
  now = &fibers[i];
  __tsan_switch_to_fiber(now->tsan, 1);
  swapcontext(&scheduler, &now->context);
  return true;
}
void start(int i, const int64_t* at, const int64_t* n) {
  Fiber& f = fibers[i];
  f.state = READY;
  f.barriers = f.exchanges = 0;
  f.t.thread_position_in_threadgroup = uint3{uint(i % n[0]), uint(i / n[0] % n[1]), uint(i / n[0] / n[1])};
  f.t.threadgroup_position_in_grid = uint3{uint(at[0]), uint(at[1]), uint(at[2])};
  uint3 corner = uint3{uint(at[0] * o.group[0]), uint(at[1] * o.group[1]), uint(at[2] * o.group[2])};
  f.t.thread_position_in_grid = corner + f.t.thread_position_in_threadgroup;
  f.t.thread_index_in_threadgroup = uint(i);
  f.t.thread_index_in_simdgroup = uint(i % 32);
  f.t.simdgroup_index_in_threadgroup = uint(i / 32);
  getcontext(&f.context);
  f.context.uc_stack.ss_sp = stacks + size_t(i) * STACK;
  f.context.uc_stack.ss_size = STACK;
  f.context.uc_link = nullptr;
  makecontext(&f.context, fiber_main, 0);
  f.tsan = __tsan_create_fiber(0);
}
void run_group() {
  static int order[MAX_THREADS], lanes[32];
  waiting = 0;
  for (Simd& s : simds) s.came = 0;
  for (char* p = __start_msl_tg; p < __stop_msl_tg; p++) *(volatile char*)p = char(o.fill);
  for (bool moved = true; moved;) {
    moved = false;
    int n = o.order % 2 ? (threads + 31) / 32 : threads;
    arrange(order, n);
    for (int k = 0; k < n; k++) {
      if (o.order % 2 == 0) moved |= resume(order[k]);  // breadth first: every thread to its next stop in turn
      for (bool again = o.order % 2; again;) {  // depth first: one simdgroup runs ahead until it blocks
        again = false;
        arrange(lanes, 32);
        for (int lane : lanes) again |= resume(order[k] * 32 + lane);
        moved |= again;
      }
    }
  }
  for (int i = 0; i < threads && !error[0]; i++)
    if (fibers[i].state != DONE)
      snprintf(error, sizeof error, "divergence: thread %d of %d waits %s (line %d) for ever", i, threads,
               NAMES[fibers[i].state], fibers[i].line);
  __tsan_acquire(&group_end);  // groups share their threadgroup variables' addresses here: one group after another
  for (int i = 0; i < threads; i++) __tsan_destroy_fiber(fibers[i].tsan);
}
const char* run_grid() {
  int64_t count[3], total = 1;
  for (int i = 0; i < 3; i++) {
    if (o.group[i] > o.grid[i]) o.group[i] = o.grid[i];
    count[i] = (o.grid[i] + o.group[i] - 1) / o.group[i];
    total *= count[i];
  }
  if (o.group[0] * o.group[1] * o.group[2] > int64_t(MAX_THREADS)) return "more than 1,024 threads in a group";
  if (__stop_msl_tg - __start_msl_tg > int64_t(MAX_MEMORY)) return "more than 32 KiB of threadgroup memory";
  stacks = (char*)mmap(nullptr, STACK * MAX_THREADS, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  main_tsan = __tsan_get_current_fiber();
  int* order = (int*)malloc(sizeof(int) * size_t(total));
  arrange(order, int(total));
  for (int64_t k = 0; k < total && !error[0]; k++) {
    int64_t g = order[k], at[3] = {g % count[0], g / count[0] % count[1], g / count[0] / count[1]}, n[3];
    for (int i = 0; i < 3; i++) {  // groups at the edge are smaller
      int64_t left = o.grid[i] - at[i] * o.group[i];
      n[i] = left < o.group[i] ? left : o.group[i];
    }
    threads = int(n[0] * n[1] * n[2]);
    for (int i = 0; i < threads; i++) start(i, at, n);
    run_group();
  }
  return error;
}
void wake(State from, int first, int n) {
  for (int i = first; i < first + n; i++)
    if (fibers[i].state == from) fibers[i].state = READY;
}
}  // namespace

extern "C" void msl_barrier(int flags, int line) {
  if (!waiting) barrier_line = line;
  if (line != barrier_line) fail("divergence: threads of a group wait at different barriers", line);
  char* here = &meeting[now->barriers++ & 1];
  if (flags) __tsan_release(here);
  now->line = line;
  if (++waiting == threads) {
    waiting = 0;
    wake(AT_BARRIER, 0, threads);
  } else {
    now->state = AT_BARRIER;
    pause_fiber();
  }
  if (flags) __tsan_acquire(here);
}
extern "C" const float* msl_exchange(float value, int line, uint* lanes) {
  int g = int(now->t.simdgroup_index_in_threadgroup), left = threads - g * 32, n = left < 32 ? left : 32;
  Simd& s = simds[g];
  float* slots = s.slots[now->exchanges++ & 1];
  if (!s.came) s.line = line;
  if (s.line != line) fail("divergence: lanes of a simdgroup are at different simd operations", line);
  *lanes = uint(n);
  slots[now->t.thread_index_in_simdgroup] = value;
  now->line = line;
  if (++s.came == n) {
    s.came = 0;
    wake(AT_SIMD, g * 32, n);
  } else {
    now->state = AT_SIMD;
    pause_fiber();
  }
  return slots;
}
int main(int, char** paths) {  // in: options, then (bytes, data) a buffer; out: all buffers again
  FILE* f = fopen(paths[1], "rb");
  if (!f || fread(&o, sizeof o, 1, f) != 1) return 4;
  buffers = (void**)calloc(size_t(o.count), sizeof(void*));
  size_t* size = (size_t*)calloc(size_t(o.count), sizeof(size_t));
  for (int64_t i = 0; i < o.count; i++) {
    if (fread(&size[i], 8, 1, f) != 1) return 4;
    buffers[i] = malloc(size[i]);  // exact: a red zone lies right behind it
    if (size[i] && fread(buffers[i], 1, size[i], f) != size[i]) return 4;
  }
  fclose(f);
  random_state = uint32_t(o.seed);
  const char* found = run_grid();
  if (found[0]) {
    fprintf(stderr, "%s\n", found);
    _Exit(3);
  }
  f = fopen(paths[2], "wb");
  for (int64_t i = 0; i < o.count; i++) fwrite(buffers[i], 1, size[i], f);
  return fclose(f);
}
