// The tile registers of a processor with AMX, each of 16 rows of 64 bytes. In assembler: the header of the intrinsics takes
// longer to read than a kernel takes to compile.
#pragma once
#include "rows.h"

extern "C" long syscall(long number, ...) noexcept;

namespace attnc {

// Linux lends the registers to a process that asks, once, for all its threads and what it forks. Where it refuses, kernels
// do without.
static const bool granted = syscall(158, 0x1023, 18) == 0;  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)

// What a thread's registers look like while this lives. oneDNN, by which PyTorch multiplies, sets them up by itself, on each
// thread before its own products, and reads what is set up first; a job calls nothing of PyTorch's. So neither changes
// them under the other, and what is released at the end has not to be saved when the thread is put aside.
struct Tiles {
  Tiles() {
    struct { uint8_t palette = 1, start = 0, reserved[14] = {}; uint16_t bytes[16] = {}; uint8_t rows[16] = {}; } setting;
    static_assert(sizeof(setting) == 64, "as the manual says");
    for (int t = 0; t < 8; ++t) setting.bytes[t] = 64, setting.rows[t] = 16;
    if (granted) __asm__ volatile("ldtilecfg %0" ::"m"(setting));
  }
  ~Tiles() {
    if (granted) __asm__ volatile("tilerelease");
  }
};

template <int T> ATTNC_INLINE void tile_zero() { __asm__ volatile("tilezero %%tmm%c0" ::"n"(T)); }

template <int T> ATTNC_INLINE void tile_load(const void* from, int64_t row) {  // `row`: bytes from one to the next
  __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"n"(T), "r"(from), "r"(row) : "memory");
}
template <int T> ATTNC_INLINE void tile_store(void* to, int64_t row) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"n"(T), "r"(to), "r"(row) : "memory");
}

// C[r][m] += A[r][2k] * B[k][2m] + A[r][2k + 1] * B[k][2m + 1], summed over k.
template <int C, int A, int B> ATTNC_INLINE void tile_multiply() {
  __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"n"(C), "n"(A), "n"(B));
}

// The unit that multiplies falls asleep within half a microsecond without work and then takes 0.3 to wake up (measured):
// where vectors are computed between two products, it is called now and then. Register 0 has nothing that is needed then.
ATTNC_INLINE void awake() {
  if (granted) tile_multiply<0, 4, 6>();
}

}  // namespace attnc
