// What generated kernels share: conversions, vectorisable functions, and one matrix micro-kernel.
#pragma once
#include <stdint.h>  // and no more: the C++ library's headers take longer to read than a kernel takes to compile

namespace attnc {

constexpr float INF = __builtin_inff(), NAN = __builtin_nanf("");

template <class T> inline T max_(T a, T b) { return a > b ? a : b; }
template <class T> inline T min_(T a, T b) { return a < b ? a : b; }
template <class T> inline T abs_(T x) { return x < (T)0 ? -x : x; }
template <class To, class From> inline To bits_(From x) {
  static_assert(sizeof(To) == sizeof(From), "the same number of bits");
  To y;
  __builtin_memcpy(&y, &x, sizeof(To));
  return y;
}

// An array that is too large for the stack.
template <class T> struct Owned {
  T* place;
  explicit Owned(T* made) : place(made) {}
  ~Owned() { delete[] place; }
};

// ---- the C library's functions, by the type of their argument ---------------------------------
#define ATTNC_FUNCTION(name) \
  inline float name##_(float x) { return __builtin_##name##f(x); } \
  inline double name##_(double x) { return __builtin_##name(x); }
ATTNC_FUNCTION(log) ATTNC_FUNCTION(log2) ATTNC_FUNCTION(log1p) ATTNC_FUNCTION(expm1) ATTNC_FUNCTION(sqrt)
ATTNC_FUNCTION(erf) ATTNC_FUNCTION(sin) ATTNC_FUNCTION(cos)
ATTNC_FUNCTION(floor) ATTNC_FUNCTION(ceil) ATTNC_FUNCTION(nearbyint)
#undef ATTNC_FUNCTION
inline float pow_(float a, float b) { return __builtin_powf(a, b); }
inline double pow_(double a, double b) { return __builtin_pow(a, b); }

// ---- 16-bit reals ---------------------------------------------------------------------------
struct bfloat16 { uint16_t bits; };
struct float16 { _Float16 value; };

inline float real(float x) { return x; }
inline double real(double x) { return x; }
inline float real(float16 x) { return (float)x.value; }
inline float real(bfloat16 x) {
  return bits_<float>((uint32_t)x.bits << 16);
}
template <class T> inline T stored(double x) { return (T)x; }
template <class T> inline T stored(float x) { return (T)x; }
template <> inline float16 stored<float16>(float x) { return {(_Float16)x}; }
template <> inline float16 stored<float16>(double x) { return {(_Float16)x}; }
template <> inline bfloat16 stored<bfloat16>(float x) {  // round to nearest, ties to even; NaN stays NaN
  const uint32_t bits = bits_<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return {(uint16_t)((bits >> 16) | 0x40)};
  return {(uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
template <> inline bfloat16 stored<bfloat16>(double x) { return stored<bfloat16>((float)x); }

// ---- functions ------------------------------------------------------------------------------
// a * b + c, rounded once wherever the machine can: left to the compiler, one loop would round twice, another not.
inline float fused_(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused_(double a, double b, double c) { return __builtin_fma(a, b, c); }
template <class T> inline T fma_(T a, T b, T c) {
#if defined(__FP_FAST_FMAF) || defined(__FMA__)
  return fused_(a, b, c);
#else
  return a * b + c;
#endif
}
// 2^r: degree-6 polynomial on [-1/2, 1/2], relative error below 3e-9 before rounding; `turn` in its low bits holds a
// whole number, 2^(that) times it.
constexpr float TURN = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to a whole number
inline float scaled_(float turn, float r) {
  float p = 1.5469732e-4f;
  p = fma_(p, r, 1.3400433e-3f);
  p = fma_(p, r, 9.6180256e-3f);
  p = fma_(p, r, 5.5503272e-2f);
  p = fma_(p, r, 2.4022651e-1f);
  p = fma_(p, r, 6.9314721e-1f);
  p = fma_(p, r, 1.0f);
  return bits_<float>((uint32_t)bits_<int32_t>(p) + ((uint32_t)bits_<int32_t>(turn) << 23));
}
inline float exp2_(float x) {  // 0 below -126
  const float inside = min_(max_(x, -126.0f), 128.0f), turn = inside + TURN;
  const float y = scaled_(turn, inside - (turn - TURN));
  return x < -126.0f ? 0.0f : x != x ? x : y;
}
inline double exp2_(double x) { return __builtin_exp2(x); }
inline float exp_(float x) {  // ln 2 in two parts, so that large arguments keep their low bits; 0 below -87.33
  const float inside = min_(max_(x, -87.33f), 88.7228f), turn = fma_(inside, 1.44269504f, TURN), whole = turn - TURN;
  const float rest = fma_(whole, -1.42860677e-6f, fma_(whole, -0.693145752f, inside));
  const float y = scaled_(turn, rest * 1.44269504f);
  return x < -87.33f ? 0.0f : x > 88.7228f ? INF : x != x ? x : y;
}
inline double exp_(double x) { return __builtin_exp(x); }
template <class T> inline T sigmoid_(T x) { return (T)1 / ((T)1 + exp_(-x)); }
inline float tanh_(float x) {
  float s = x * x;  // near 0 the quotient would cancel: an odd polynomial there
  float near = x * (1.0f + s * (-0.33333333f + s * (0.13333333f + s * (-0.053968254f + s * 0.021869488f))));
  float far = 1.0f - 2.0f / (exp2_(abs_(x) * 2.8853900817779268f) + 1.0f);  // of |x|: 1 + tanh(x) stays good
  return s < 0.09f ? near : __builtin_copysignf(far, x);
}
inline double tanh_(double x) { return __builtin_tanh(x); }
template <class T> inline T relu_(T x) { return x > (T)0 ? x : x != x ? x : (T)0; }
template <class T> inline T silu_(T x) { return x * sigmoid_(x); }
template <class T> inline T gelu_(T x) { return x * (T)0.5 * ((T)1 + erf_(x * (T)0.70710678118654752)); }
template <class T> inline T softplus_(T x) { return (x > 0 ? x : 0) + log1p_(exp_(-abs_(x))); }
template <class T> inline T xlogx_(T x) { return x == (T)0 ? (T)0 : x * log_(x); }
template <class T> inline T sign_(T x) { return (T)((x > (T)0) - (x < (T)0)); }
template <class T> inline T clamp_(T x, T lo, T hi) { return min_(max_(x, lo), hi); }
inline int64_t floordiv_(int64_t a, int64_t b) {  // rounds down; by 0 the value is absent and its number arbitrary
  if (b == 0) return 0;
  int64_t q = a / b;
  return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}
inline int64_t mod_(int64_t a, int64_t b) { return b == 0 ? 0 : a - floordiv_(a, b) * b; }
template <class T> inline T floordiv_(T a, T b) { return floor_(a / b); }
template <class T> inline T mod_(T a, T b) { return a - floor_(a / b) * b; }
inline int64_t pow_(int64_t a, int64_t b) {  // the whole part: 0 for a negative power of anything but 1 and -1
  if (b < 0) return a == 1 ? 1 : a == -1 ? 1 - 2 * (b & 1) : 0;
  int64_t y = 1;
  for (int64_t i = 0; i < b; ++i) y *= a;
  return y;
}

// Philox-4x32-10 (Salmon et al., 2011): the top 24 bits of the block's first word, in [0, 1).
inline float uniform_(int64_t seed, int64_t a, int64_t b, int64_t c, int64_t d) {
  uint32_t c0 = (uint32_t)a, c1 = (uint32_t)b, c2 = (uint32_t)c, c3 = (uint32_t)d;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)((uint64_t)seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t one = (uint64_t)0xD2511F53u * c0, two = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(two >> 32) ^ c1 ^ k0, c1 = (uint32_t)two;
    c2 = (uint32_t)(one >> 32) ^ c3 ^ k1, c3 = (uint32_t)one;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return (float)(c0 >> 8) * 0x1p-24f;
}

// ---- out[r][m] = sum over k of w(r, k) * x[k][m] ------------------------------------------------
// x and out lie with the parallel index last; w is read where it lies, by two strides.
template <int BYTES, class T> struct Vector { typedef T type __attribute__((vector_size(BYTES), aligned(alignof(T)))); };
#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

// Here alone products and sums are joined; elsewhere that would make equal expressions differ from loop to loop.
template <int ROWS, int LANES, class T, class W>
#if !defined(__clang__)
__attribute__((noinline, optimize("fp-contract=fast")))
#endif
void block(int64_t depth, const T* keep, T* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const T* x, int64_t x_row) {
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
  typedef typename Vector<BYTES, T>::type V;
  constexpr int N = BYTES / sizeof(T), C = LANES / N;
  V sum[ROWS][C];
  #pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
    #pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sum[r][c] = V{};
  for (int64_t k = 0; k < depth; ++k) {
    V b[C];
    #pragma GCC unroll 8
    for (int c = 0; c < C; ++c) b[c] = *(const V*)(x + k * x_row + c * N);
    #pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const T a = (T)w[r * w_row + k * w_depth];
      #pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] += a * b[c];
    }
  }
  #pragma GCC unroll 8
  for (int c = 0; c < C; ++c) {
    const V times = keep ? *(const V*)(keep + c * N) : V{};
    #pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      V* place = (V*)(out + r * out_row + c * N);
      *place = keep ? times * *place + sum[r][c] : sum[r][c];
    }
  }
}

template <int BM, class T> struct Ones {
  alignas(64) T values[BM];
  constexpr Ones() : values() { for (int m = 0; m < BM; ++m) values[m] = 1; }
};
template <int BM, class T> inline constexpr Ones<BM, T> ones;

// out = keep * out + the product, the product alone where there is no `keep`. Long sums are added in stretches: one
// running sum would lose the low bits of its last terms.
template <int BM, class T, class W>
inline void matmul(int64_t rows, int64_t depth, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x, const T* keep = nullptr) {
  constexpr int N = BYTES / sizeof(T);
  constexpr int LANES = BM % (4 * N) == 0 ? 4 * N : BM % (2 * N) == 0 ? 2 * N : N;
  constexpr int64_t STRETCH = 256;
  static_assert(BM % LANES == 0, "a tile of rows is a multiple of the vector");
  for (int64_t k = 0; k == 0 || k < depth; k += STRETCH) {
    const int64_t part = min_(STRETCH, depth - k);
    const T* times = k > 0 ? ones<BM, T>.values : keep;
    for (int m = 0; m < BM; m += LANES) {
      const W* from = w + k * w_depth;
      const T* own = times ? times + m : nullptr;
      int64_t r = 0;
      for (; r + 6 <= rows; r += 6) block<6, LANES>(part, own, out + r * BM + m, BM, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
      for (; r + 2 <= rows; r += 2) block<2, LANES>(part, own, out + r * BM + m, BM, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
      for (; r < rows; ++r) block<1, LANES>(part, own, out + r * BM + m, BM, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
    }
  }
}

// 16-bit operands are widened a panel at a time: what is read for every column of a tile is converted once.
template <int BM, class H>
inline void widened(int64_t rows, int64_t depth, float* out, const H* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep) {
  constexpr int64_t SIDE = 64;
  alignas(64) float panel[SIDE * SIDE];
  const bool across = w_row == 1 && w_depth != 1;  // whichever lies side by side stays so
  for (int64_t r = 0; r < rows; r += SIDE)
    for (int64_t k = 0; k == 0 || k < depth; k += SIDE) {
      const int64_t high = min_(SIDE, rows - r), deep = min_(SIDE, depth - k);
      const int64_t outer = across ? deep : high, inner = across ? high : deep;
      const int64_t step = across ? w_depth : w_row, unit = across ? w_row : w_depth;
      const H* from = w + r * w_row + k * w_depth;
      for (int64_t i = 0; i < outer; ++i) {
        if (unit == 1)
          #pragma omp simd
          for (int64_t j = 0; j < inner; ++j) panel[i * SIDE + j] = real(from[i * step + j]);
        else
          for (int64_t j = 0; j < inner; ++j) panel[i * SIDE + j] = real(from[i * step + j * unit]);
      }
      matmul<BM>(high, deep, out + r * BM, (const float*)panel, across ? 1 : SIDE, across ? SIDE : 1, x + k * BM, k > 0 ? ones<BM, float>.values : keep);
    }
}
template <int BM>
inline void matmul(int64_t rows, int64_t depth, float* out, const bfloat16* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep = nullptr) {
  widened<BM>(rows, depth, out, w, w_row, w_depth, x, keep);
}
template <int BM>
inline void matmul(int64_t rows, int64_t depth, float* out, const float16* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep = nullptr) {
  widened<BM>(rows, depth, out, w, w_row, w_depth, x, keep);
}

}  // namespace attnc
