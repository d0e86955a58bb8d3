// Functions of scalars and of lanes.
#pragma once
#include "lanes.h"

namespace attnc {

constexpr float INF = __builtin_inff(), NAN = __builtin_nanf("");

template <class To, class From> ATTNC_INLINE To bits_(From x) {
  static_assert(sizeof(To) == sizeof(From), "the same number of bits");
  To y;
  __builtin_memcpy(&y, &x, sizeof(To));
  return y;
}
// The greater and the lesser of two; the second where one is NaN. Named, for the compiler sees no such instruction where
// one of them is a constant.
template <class V> ATTNC_INLINE V max_part(V a, V b) {
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (sizeof(a) == 64 && __is_same(decltype(a[0] + 0), float)) return __builtin_ia32_maxps512_mask(a, b, a, -1, 4);
#endif
  return a > b ? a : b;
}
template <class V> ATTNC_INLINE V min_part(V a, V b) {
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (sizeof(a) == 64 && __is_same(decltype(a[0] + 0), float)) return __builtin_ia32_minps512_mask(a, b, a, -1, 4);
#endif
  return a < b ? a : b;
}
template <class T> ATTNC_INLINE T greater(T a, T b) { return a > b ? a : b; }
template <class T> ATTNC_INLINE T lesser(T a, T b) { return a < b ? a : b; }
template <class T, int N> ATTNC_INLINE Lanes<T, N> greater(Lanes<T, N> a, Lanes<T, N> b) {
  constexpr int PARTS = Lanes<T, N>::PARTS;
  ATTNC_PARTS a.pack.part[p] = max_part(a.pack.part[p], b.pack.part[p]);
  return a;
}
template <class T, int N> ATTNC_INLINE Lanes<T, N> lesser(Lanes<T, N> a, Lanes<T, N> b) {
  constexpr int PARTS = Lanes<T, N>::PARTS;
  ATTNC_PARTS a.pack.part[p] = min_part(a.pack.part[p], b.pack.part[p]);
  return a;
}
template <class T> ATTNC_INLINE T max_(T a, T b) { return greater(a, b); }
template <class T> ATTNC_INLINE T min_(T a, T b) { return lesser(a, b); }
template <class T> ATTNC_INLINE T abs_(T x) { return select_<T>(x < T(0), -x, x); }

// ---- a * b + c, rounded once wherever the machine can: left to the compiler, one loop would round twice, another not.
#if defined(__FP_FAST_FMAF) || defined(__FMA__)
ATTNC_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
ATTNC_INLINE double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
template <class T> ATTNC_INLINE T fused(T a, T b, T c) { return a * b + c; }
#endif
template <class V> ATTNC_INLINE V fused_part(V a, V b, V c) {
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (sizeof(a) == 64 && sizeof(a[0]) == 4) return __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4);
  else if constexpr (sizeof(a) == 64) return __builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4);
  else
#endif
#if defined(__FMA__) && !defined(__clang__)
  if constexpr (sizeof(a) == 32 && sizeof(a[0]) == 4) return __builtin_ia32_vfmaddps256(a, b, c);
  else if constexpr (sizeof(a) == 32) return __builtin_ia32_vfmaddpd256(a, b, c);
  else
#endif
  {
    for (unsigned i = 0; i < sizeof(a) / sizeof(a[0]); ++i) c[i] = fused(a[i], b[i], c[i]);
    return c;
  }
}
template <class T, int N> ATTNC_INLINE Lanes<T, N> fused(Lanes<T, N> a, Lanes<T, N> b, Lanes<T, N> c) {
  constexpr int PARTS = Lanes<T, N>::PARTS;
  ATTNC_PARTS c.pack.part[p] = fused_part(a.pack.part[p], b.pack.part[p], c.pack.part[p]);
  return c;
}
template <class T> ATTNC_INLINE T fma_(T a, T b, T c) { return fused(a, b, c); }

// ---- powers -----------------------------------------------------------------------------------
// p times 2^(the whole number in the low bits of turn).
ATTNC_INLINE float shifted_(float p, float turn) {
  return bits_<float>((uint32_t)bits_<int32_t>(p) + ((uint32_t)bits_<int32_t>(turn) << 23));
}
template <int N> ATTNC_INLINE Lanes<int32_t, N> bits_of(Lanes<float, N> x) { return bits_<Lanes<int32_t, N>>(x); }
template <int N> ATTNC_INLINE Lanes<float, N> floats_of(Lanes<int32_t, N> x) { return bits_<Lanes<float, N>>(x); }
template <int N> ATTNC_INLINE Lanes<float, N> shifted_(Lanes<float, N> p, Lanes<float, N> turn) {
  typedef typename Pack<uint32_t, N>::V I;
  constexpr int PARTS = Lanes<float, N>::PARTS;
  for (int q = 0; q < PARTS; ++q)
    p.pack.part[q] = (typename Pack<float, N>::V)((I)p.pack.part[q] + ((I)turn.pack.part[q] << 23));
  return p;
}
constexpr float TURN = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to a whole number
// 2^r: degree-6 polynomial on [-1/2, 1/2], relative error below 3e-9 before rounding.
template <class T> ATTNC_INLINE T near_one(T r) {
  T p = fma_<T>(1.5469732e-4f, r, 1.3400433e-3f);
  p = fma_<T>(p, r, 9.6180256e-3f);
  p = fma_<T>(p, r, 5.5503272e-2f);
  p = fma_<T>(p, r, 2.4022651e-1f);
  p = fma_<T>(p, r, 6.9314721e-1f);
  return fma_<T>(p, r, 1.0f);
}
// The same for what is rounded to bfloat16: of degree 4, relative error below 3e-6.
template <class T> ATTNC_INLINE T roughly_near_one(T r) {
  T p = fma_<T>(9.5700983e-3f, r, 5.5917863e-2f);
  p = fma_<T>(p, r, 2.4024745e-1f);
  p = fma_<T>(p, r, 6.9312181e-1f);
  return fma_<T>(p, r, 9.9999926e-1f);
}
template <class T> ATTNC_INLINE T scaled_(T turn, T r) { return shifted_(near_one(r), turn); }
template <class T> ATTNC_INLINE T power2(T x) {  // 0 below -126, 1.34 half units in the last place at most
  const T inside = min_<T>(x, 128.0f), turn = inside + T(TURN);
  const T y = scaled_<T>(turn, inside - (turn - T(TURN)));
  return select_<T>(x >= T(-126.0f), y, max_<T>(0.0f, x));  // NaN stays
}
template <class T> ATTNC_INLINE T power_e(T x) {  // ln 2 in two parts, so that large arguments keep their low bits
  const T inside = min_<T>(x, 88.7228f), turn = fma_<T>(inside, 1.44269504f, TURN), whole = turn - T(TURN);
  const T rest = fma_<T>(whole, -1.42860677e-6f, fma_<T>(whole, -0.693145752f, inside));
  const T y = scaled_<T>(turn, rest * T(1.44269504f));
  const T high = select_<T>(x > T(88.7228f), INF, y);
  return select_<T>(x >= T(-87.33f), high, max_<T>(0.0f, x));
}
ATTNC_INLINE float exp2_(float x) { return power2(x); }
ATTNC_INLINE double exp2_(double x) { return __builtin_exp2(x); }
template <bool ROUGH, int N> ATTNC_INLINE Lanes<float, N> power_of_2(Lanes<float, N> x) {
#if defined(__AVX512DQ__) && !defined(__clang__)
  if constexpr (N % 16 == 0) {  // two instructions that know infinities and ends take the place of seven
    constexpr int PARTS = Lanes<float, N>::PARTS, NEAREST = 8, NOT_LESS = 5;
    constexpr unsigned short ALL = -1;
    Lanes<float, N> r, y;
    ATTNC_PARTS r.pack.part[p] = __builtin_ia32_reduceps512_mask(x.pack.part[p], NEAREST, x.pack.part[p], ALL);
    const Lanes<float, N> whole = x - r, near = ROUGH ? roughly_near_one(r) : near_one(r);
    ATTNC_PARTS {
      const typename Pack<float, N>::V low = typename Pack<float, N>::V{} - 126.0f;
      const unsigned short seen = __builtin_ia32_cmpps512_mask(x.pack.part[p], low, NOT_LESS, ALL, 4);
      y.pack.part[p] = __builtin_ia32_scalefps512_mask(near.pack.part[p], whole.pack.part[p], typename Pack<float, N>::V{}, seen, 4);
    }
    return y;
  }
#endif
  return power2(x);
}
template <int N> ATTNC_INLINE Lanes<float, N> exp2_(Lanes<float, N> x) { return power_of_2<false>(x); }
ATTNC_INLINE float exp_(float x) { return power_e(x); }
ATTNC_INLINE double exp_(double x) { return __builtin_exp(x); }
template <int N> ATTNC_INLINE Lanes<float, N> exp_(Lanes<float, N> x) { return power_e(x); }

// ---- the C library's functions, by the type of their argument ------------------------------------
#define ATTNC_LANES(name) \
  template <class T, int N> ATTNC_INLINE Lanes<T, N> name##_(Lanes<T, N> x) { \
    return each(x, [](T y) { return name##_(y); }); \
  }
#define ATTNC_FUNCTION(name) \
  inline float name##_(float x) { return __builtin_##name##f(x); } \
  inline double name##_(double x) { return __builtin_##name(x); } \
  ATTNC_LANES(name)
ATTNC_FUNCTION(log) ATTNC_FUNCTION(log2) ATTNC_FUNCTION(log1p) ATTNC_FUNCTION(expm1) ATTNC_FUNCTION(sqrt)
ATTNC_FUNCTION(erf) ATTNC_FUNCTION(sin) ATTNC_FUNCTION(cos)
ATTNC_FUNCTION(floor) ATTNC_FUNCTION(ceil) ATTNC_FUNCTION(nearbyint)
ATTNC_LANES(exp2) ATTNC_LANES(exp)

// ---- logarithms of floats side by side ------------------------------------------------------------
// x = m * 2^e with m in [sqrt(1/2), sqrt(2)): log m by a polynomial of degree 9, two units in the last place at most.
template <int N> struct Parted { Lanes<float, N> low, whole; };
template <int N> ATTNC_INLINE Parted<N> parted_log(Lanes<float, N> x) {
  typedef Lanes<float, N> L;
  const Lanes<bool, N> tiny = x < L(1.17549435e-38f);
  const auto bits = bits_of(select_<L>(tiny, x * L(8388608.0f), x));
  const auto raised = (bits - Lanes<int32_t, N>(0x3f3504f3)) >> 23;  // 0x3f3504f3: sqrt(1/2)
  const L m = floats_of(bits - (raised << 23)), r = m - L(1.0f), z = r * r;
  L p = fma_<L>(7.0376836292e-2f, r, -1.1514610310e-1f);
  p = fma_<L>(p, r, 1.1676998740e-1f);
  p = fma_<L>(p, r, -1.2420140846e-1f);
  p = fma_<L>(p, r, 1.4249322787e-1f);
  p = fma_<L>(p, r, -1.6668057665e-1f);
  p = fma_<L>(p, r, 2.0000714765e-1f);
  p = fma_<L>(p, r, -2.4999993993e-1f);
  p = fma_<L>(p, r, 3.3333331174e-1f);
  const L whole = Cast<L>::of(raised) - select_<L>(tiny, 23.0f, 0.0f);
  return {fma_<L>(p * r, z, fma_<L>(-0.5f, z, r)), whole};
}
template <int N> ATTNC_INLINE Lanes<float, N> log_edges(Lanes<float, N> x, Lanes<float, N> y) {
  typedef Lanes<float, N> L;
  y = select_<L>(x == L(INF), INF, select_<L>(x == L(0.0f), -INF, y));
  return select_<L>(x < L(0.0f), NAN, select_<L>(x != x, x, y));
}
template <int N> ATTNC_INLINE Lanes<float, N> log_(Lanes<float, N> x) {
  const auto [low, whole] = parted_log(x);
  return log_edges(x, fma_<Lanes<float, N>>(whole, 0.693359375f, fma_<Lanes<float, N>>(whole, -2.12194440e-4f, low)));
}
template <int N> ATTNC_INLINE Lanes<float, N> log2_(Lanes<float, N> x) {
  const auto [low, whole] = parted_log(x);
  return log_edges(x, fma_<Lanes<float, N>>(low, 1.44269504f, whole));
}
template <int N> ATTNC_INLINE Lanes<float, N> log1p_(Lanes<float, N> x) {  // what 1 + x loses is made good
  typedef Lanes<float, N> L;
  const L u = L(1.0f) + x, y = log_(u) * (x / (u - L(1.0f)));
  return select_<L>(u == L(1.0f), x, select_<L>(u == L(INF), u, y));
}

// ---- functions made of these -----------------------------------------------------------------------
template <class T> ATTNC_INLINE T sigmoid_(T x) { return T(1) / (T(1) + exp_(-x)); }
template <class T> ATTNC_INLINE T tangent(T x) {
  const T s = x * x;  // near 0 the quotient would cancel: an odd polynomial there
  const T near = x * (T(1) + s * (T(-0.33333333f) + s * (T(0.13333333f) + s * (T(-0.053968254f) + s * T(0.021869488f)))));
  const T far = T(1) - T(2) / (exp2_(abs_(x) * T(2.8853900817779268f)) + T(1));  // of |x|: 1 + tanh(x) stays good
  return select_<T>(s < T(0.09f), near, select_<T>(x < T(0), -far, far));
}
inline float tanh_(float x) { return tangent(x); }
inline double tanh_(double x) { return __builtin_tanh(x); }
template <int N> ATTNC_INLINE Lanes<float, N> tanh_(Lanes<float, N> x) { return tangent(x); }
ATTNC_LANES(tanh)
template <class T> ATTNC_INLINE T relu_(T x) { return select_<T>(x <= T(0), 0, x); }
template <class T> ATTNC_INLINE T silu_(T x) { return x * sigmoid_(x); }
template <class T> ATTNC_INLINE T gelu_(T x) { return x * T(0.5) * (T(1) + erf_(x * T(0.70710678118654752))); }
template <class T> ATTNC_INLINE T softplus_(T x) { return select_<T>(x > T(0), x, 0) + log1p_(exp_(-abs_(x))); }
template <class T> ATTNC_INLINE T xlogx_(T x) { return select_<T>(x == T(0), 0, x * log_(x)); }
template <class T> ATTNC_INLINE T sign_(T x) { return select_<T>(x > T(0), 1, select_<T>(x < T(0), -1, 0)); }
template <class T> ATTNC_INLINE T clamp_(T x, T lo, T hi) { return min_<T>(max_<T>(x, lo), hi); }

inline float power(float a, float b) { return __builtin_powf(a, b); }
inline double power(double a, double b) { return __builtin_pow(a, b); }
inline int64_t power(int64_t a, int64_t b) {  // the whole part: 0 for a negative power of anything but 1 and -1
  if (b < 0) return a == 1 ? 1 : a == -1 ? 1 - 2 * (b & 1) : 0;
  uint64_t y = 1;
  for (uint64_t x = (uint64_t)a; b > 0; x *= x, b >>= 1) y *= b & 1 ? x : 1;
  return (int64_t)y;
}
inline int32_t power(int32_t a, int32_t b) { return (int32_t)power((int64_t)a, (int64_t)b); }
template <class I> inline I divided(I a, I b) {  // rounds down; by 0 the value is absent and its number arbitrary
  if (b == 0) return 0;
  const I q = a / b;
  return q - (I)((a % b != 0) && ((a < 0) != (b < 0)));
}
inline float divided(float a, float b) { return floor_(a / b); }
inline double divided(double a, double b) { return floor_(a / b); }
template <class I> inline I remainder(I a, I b) { return b == 0 ? 0 : a - divided(a, b) * b; }
inline float remainder(float a, float b) { return a - floor_(a / b) * b; }
inline double remainder(double a, double b) { return a - floor_(a / b) * b; }
#define ATTNC_BINARY(name, of) \
  template <class T, int N> ATTNC_INLINE Lanes<T, N> of(Lanes<T, N> a, Lanes<T, N> b) { \
    return each(a, b, [](T x, T y) { return of(x, y); }); \
  } \
  template <class T> ATTNC_INLINE T name##_(T a, T b) { return of(a, b); }
ATTNC_BINARY(pow, power) ATTNC_BINARY(floordiv, divided) ATTNC_BINARY(mod, remainder)

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
template <class T, int N> ATTNC_INLINE Lanes<float, N> uniform_(int64_t seed, Lanes<T, N> a, Lanes<T, N> b, Lanes<T, N> c, Lanes<T, N> d) {
  alignas(64) T x[4][N];
  alignas(64) float y[N];
  put(x[0], a), put(x[1], b), put(x[2], c), put(x[3], d);
  for (int i = 0; i < N; ++i) y[i] = uniform_(seed, x[0][i], x[1][i], x[2][i], x[3][i]);
  return at<Lanes<float, N>>(y);
}

// ---- the greatest and the least of whole numbers in a row, by vectors -----------------------------------
template <bool MOST, class T> inline T end_of(const T* x, int count, T found) {
  constexpr int N = BYTES / (int)sizeof(T);
  typedef typename Vector<BYTES, T>::type V;
  V ends = found - V{};
  int i = 0;
  for (; i + N <= count; i += N) ends = MOST ? max_part(ends, *(const V*)(x + i)) : min_part(ends, *(const V*)(x + i));
  for (; i < count; ++i) found = MOST ? greater(found, x[i]) : lesser(found, x[i]);
  for (int j = 0; j < N; ++j) found = MOST ? greater<T>(found, ends[j]) : lesser<T>(found, ends[j]);
  return found;
}

// ---- operations across lanes: halves joined again and again ------------------------------------------
template <class T, int N> inline T sum_across(Lanes<T, N> x) { return across(x, [](T a, T b) { return a + b; }); }
template <class T, int N> inline T prod_across(Lanes<T, N> x) { return across(x, [](T a, T b) { return a * b; }); }
template <class T, int N> inline T max_across(Lanes<T, N> x) { return across(x, [](T a, T b) { return max_<T>(a, b); }); }
template <class T, int N> inline T min_across(Lanes<T, N> x) { return across(x, [](T a, T b) { return min_<T>(a, b); }); }
template <int N> ATTNC_INLINE bool any_across(Lanes<bool, N> x) {  // 64 bits at a time: masks are asked for every key
  typedef typename Pack<int32_t, N>::V V;
  V every = x.pack.part[0];
  for (int p = 1; p < Lanes<bool, N>::PARTS; ++p) every = every | x.pack.part[p];
  uint64_t words[(sizeof(V) + 7) / 8] = {}, any = 0;
  __builtin_memcpy(words, &every, sizeof(V));
  for (const uint64_t word : words) any |= word;
  return any != 0;
}
template <int N> ATTNC_INLINE bool all_across(Lanes<bool, N> x) { return !any_across(!x); }

}  // namespace attnc
