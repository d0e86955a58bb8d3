// N values side by side in the machine's vectors. Arithmetic is value by value; a scalar stands for N equal values.
#pragma once
#include <stdint.h>  // and no more: the C++ library's headers take longer to read than a kernel takes to compile

#define ATTNC_INLINE inline __attribute__((always_inline))
#define ATTNC_ONCE __attribute__((noinline))  // compiled once, however often a kernel asks
#define ATTNC_PARTS _Pragma("GCC unroll 16") for (int p = 0; p < PARTS; ++p)

namespace attnc {

// Room for elements, from the C library: the C++ library takes longer to link than a kernel takes to assemble.
template <class T> ATTNC_INLINE T* room(int64_t count) {
  void* found = __builtin_malloc(count * sizeof(T));
  if (!found) __builtin_trap();
  return (T*)found;
}

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif

template <int SIZE, class E> struct Vector { typedef E type __attribute__((vector_size(SIZE), aligned(alignof(E)))); };

// Elements of two vectors in a constant order, the second's numbered on.
template <class V, class I> ATTNC_INLINE V shuffled(V x, V y, I order) {
#if defined(__clang__)
  constexpr int N = sizeof(V) / sizeof(x[0]);
  V z;
  for (int i = 0; i < N; ++i) z[i] = order[i] < N ? x[order[i]] : y[order[i] - N];
  return z;
#else
  return __builtin_shuffle(x, y, order);
#endif
}

// How many lanes suit the rows of a tile: those of so many vectors, or fewer.
template <class T> constexpr int width(int rows, int vectors = 1) {
  int lanes = vectors * BYTES / (int)sizeof(T);
  while (rows % lanes != 0) lanes /= 2;
  return lanes;
}

// ---- N elements as vectors ----------------------------------------------------------------------
template <class E, int N> struct Pack {
  static constexpr int PARTS = N * (int)sizeof(E) > BYTES ? N * (int)sizeof(E) / BYTES : 1;
  typedef typename Vector<N / PARTS * sizeof(E), E>::type V;
  V part[PARTS];
};

// Two vectors side by side, in registers where the compiler can say so.
template <class V, class H> ATTNC_INLINE V joined(H low, H high) {
#if defined(__clang__) || __GNUC__ >= 12
  constexpr int SIZE = sizeof(V) / sizeof(low[0]);
  if constexpr (SIZE == 16) return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  if constexpr (SIZE == 8) return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
  if constexpr (SIZE == 4) return __builtin_shufflevector(low, high, 0, 1, 2, 3);
#endif
  V both;
  __builtin_memcpy(&both, &low, sizeof(H));
  __builtin_memcpy((char*)&both + sizeof(H), &high, sizeof(H));
  return both;
}

template <class To, class From, int N> ATTNC_INLINE Pack<To, N> converted(const Pack<From, N>& from) {
  if constexpr (__is_same(To, From)) return from;
  constexpr int A = Pack<To, N>::PARTS, B = Pack<From, N>::PARTS, PARTS = A > B ? A : B;
  typedef typename Vector<N / PARTS * sizeof(To), To>::type Mine;
  typedef typename Vector<N / PARTS * sizeof(From), From>::type Theirs;
  Pack<To, N> to;
  if constexpr (2 * A == B) {
    #pragma GCC unroll 16
    for (int p = 0; p < A; ++p) {
      const Mine low = __builtin_convertvector(from.part[2 * p], Mine), high = __builtin_convertvector(from.part[2 * p + 1], Mine);
      to.part[p] = joined<typename Pack<To, N>::V>(low, high);
    }
  } else {
    ATTNC_PARTS {
      Theirs piece;
      __builtin_memcpy(&piece, (const char*)from.part + p * sizeof(Theirs), sizeof(Theirs));
      const Mine done = __builtin_convertvector(piece, Mine);
      __builtin_memcpy((char*)to.part + p * sizeof(Mine), &done, sizeof(Mine));
    }
  }
  return to;
}

template <class E> struct Signed { typedef int64_t type; };  // the integer of as many bits
template <> struct Signed<float> { typedef int32_t type; };
template <> struct Signed<int32_t> { typedef int32_t type; };

// ---- values and conditions ----------------------------------------------------------------------
template <class T, int N> struct Lanes;

template <int N> struct Lanes<bool, N> {  // 0 or -1 in 32 bits
  static constexpr int PARTS = Pack<int32_t, N>::PARTS;
  Pack<int32_t, N> pack;
  Lanes() = default;
  ATTNC_INLINE Lanes(bool x) { ATTNC_PARTS pack.part[p] = -(int32_t)x - typename Pack<int32_t, N>::V{}; }
  template <class I> ATTNC_INLINE explicit Lanes(Pack<I, N> x) : pack(converted<int32_t>(x)) {}
  friend ATTNC_INLINE Lanes operator&(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] &= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator|(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] |= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator==(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] = ~(a.pack.part[p] ^ b.pack.part[p]); return a; }
  friend ATTNC_INLINE Lanes operator!=(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] ^= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator!(Lanes a) { ATTNC_PARTS a.pack.part[p] = ~a.pack.part[p]; return a; }
};

template <class T, int N> struct Lanes {
  static constexpr int PARTS = Pack<T, N>::PARTS;
  typedef typename Pack<T, N>::V V;
  typedef Pack<typename Signed<T>::type, N> I;
  typedef Lanes<bool, N> Mask;
  Pack<T, N> pack;
  Lanes() = default;
  ATTNC_INLINE Lanes(T x) { ATTNC_PARTS pack.part[p] = x - V{}; }
  ATTNC_INLINE explicit Lanes(Pack<T, N> x) : pack(x) {}
  friend ATTNC_INLINE Lanes operator+(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] += b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator-(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] -= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator*(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] *= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator/(Lanes a, Lanes b) { ATTNC_PARTS a.pack.part[p] /= b.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator-(Lanes a) { ATTNC_PARTS a.pack.part[p] = -a.pack.part[p]; return a; }
  friend ATTNC_INLINE Lanes operator<<(Lanes a, int by) { ATTNC_PARTS a.pack.part[p] = a.pack.part[p] << by; return a; }
  friend ATTNC_INLINE Lanes operator>>(Lanes a, int by) { ATTNC_PARTS a.pack.part[p] = a.pack.part[p] >> by; return a; }
  friend ATTNC_INLINE Mask operator<(Lanes a, Lanes b) { I y; ATTNC_PARTS y.part[p] = a.pack.part[p] < b.pack.part[p]; return Mask(y); }
  friend ATTNC_INLINE Mask operator<=(Lanes a, Lanes b) { I y; ATTNC_PARTS y.part[p] = a.pack.part[p] <= b.pack.part[p]; return Mask(y); }
  friend ATTNC_INLINE Mask operator==(Lanes a, Lanes b) { I y; ATTNC_PARTS y.part[p] = a.pack.part[p] == b.pack.part[p]; return Mask(y); }
  friend ATTNC_INLINE Mask operator!=(Lanes a, Lanes b) { I y; ATTNC_PARTS y.part[p] = a.pack.part[p] != b.pack.part[p]; return Mask(y); }
  friend ATTNC_INLINE Mask operator>(Lanes a, Lanes b) { return b < a; }
  friend ATTNC_INLINE Mask operator>=(Lanes a, Lanes b) { return b <= a; }
};

template <class T> ATTNC_INLINE T chosen(bool test, T a, T b) { return test ? a : b; }
template <class T, int N> ATTNC_INLINE Lanes<T, N> chosen(Lanes<bool, N> test, Lanes<T, N> a, Lanes<T, N> b) {
  constexpr int PARTS = Lanes<T, N>::PARTS;
  const auto mask = converted<typename Signed<T>::type>(test.pack);
  ATTNC_PARTS a.pack.part[p] = mask.part[p] ? a.pack.part[p] : b.pack.part[p];
  return a;
}
template <int N> ATTNC_INLINE Lanes<bool, N> chosen(Lanes<bool, N> test, Lanes<bool, N> a, Lanes<bool, N> b) {
  return (test & a) | ((!test) & b);
}
template <class T, class C> ATTNC_INLINE T select_(C test, T a, T b) { return chosen(test, a, b); }

// ---- memory -------------------------------------------------------------------------------------
template <class L> struct Memory;
template <class T, int N> struct Memory<Lanes<T, N>> {
  typedef typename Pack<T, N>::V V;
  static constexpr int PARTS = Pack<T, N>::PARTS;
  static ATTNC_INLINE Lanes<T, N> read(const T* from) {
    Lanes<T, N> x;
    ATTNC_PARTS x.pack.part[p] = ((const V*)from)[p];
    return x;
  }
  static ATTNC_INLINE void write(T* to, Lanes<T, N> x) { ATTNC_PARTS ((V*)to)[p] = x.pack.part[p]; }
};
template <int N> struct Memory<Lanes<bool, N>> {  // a byte for each
  static ATTNC_INLINE Lanes<bool, N> read(const bool* from) {
#if defined(__AVX512F__) && !defined(__clang__)
    if constexpr (N % 16 == 0) {  // GCC 12 takes a vector of 512 bits apart unless it is told
      Pack<int32_t, N> bits;
      for (int p = 0; p < N / 16; ++p) {
        char __attribute__((vector_size(16))) bytes;
        __builtin_memcpy(&bytes, from + 16 * p, 16);
        bits.part[p] = 0 - (typename Pack<int32_t, N>::V)__builtin_ia32_pmovsxbd512_mask(bytes, typename Pack<int32_t, N>::V{}, (unsigned short)-1);
      }
      return Lanes<bool, N>(bits);
    }
#endif
    Pack<int8_t, N> bytes;
    __builtin_memcpy(&bytes, from, N);
    return -Lanes<int32_t, N>(converted<int32_t>(bytes)) != 0;
  }
  static ATTNC_INLINE void write(bool* to, Lanes<bool, N> x) {
    const auto bytes = converted<int8_t>((-Lanes<int32_t, N>(x.pack)).pack);
    __builtin_memcpy(to, &bytes, N);
  }
};
template <class L, class T> ATTNC_INLINE L at(const T* from) { return Memory<L>::read(from); }
template <class L, class T> ATTNC_INLINE void put(T* to, L x) { Memory<L>::write(to, x); }

// ---- lanes of another type, lanes as one value ---------------------------------------------------
template <class L> struct Cast;
template <class T, int N> struct Cast<Lanes<T, N>> {
  template <class From> static ATTNC_INLINE Lanes<T, N> of(Lanes<From, N> x) { return Lanes<T, N>(converted<T>(x.pack)); }
  static ATTNC_INLINE Lanes<T, N> of(Lanes<bool, N> x) { return -Lanes<T, N>(converted<T>(x.pack)); }
};
template <int N> struct Cast<Lanes<bool, N>> {
  template <class From> static ATTNC_INLINE Lanes<bool, N> of(Lanes<From, N> x) { return x != From(0); }
  static ATTNC_INLINE Lanes<bool, N> of(Lanes<bool, N> x) { return x; }
};
template <class L, class X> ATTNC_INLINE L cast_(X x) { return Cast<L>::of(x); }

// first, first + 1, ...
template <class L> struct Count;
template <class T, int N> struct Count<Lanes<T, N>> {
  static ATTNC_INLINE Lanes<T, N> from(int64_t first) {
    Lanes<T, N> x;
    constexpr int PARTS = Lanes<T, N>::PARTS, EACH = N / PARTS;
    ATTNC_PARTS
      for (int i = 0; i < EACH; ++i) x.pack.part[p][i] = (T)(p * EACH + i);
    return x + (T)first;
  }
};
template <class L> ATTNC_INLINE L positions(int64_t first) { return Count<L>::from(first); }

// A function of scalars lane by lane, and an operation across all lanes.
template <class T, int N, class F> ATTNC_INLINE Lanes<T, N> each(Lanes<T, N> x, F f) {
  alignas(64) T y[N];
  put(y, x);
  for (int i = 0; i < N; ++i) y[i] = f(y[i]);
  return at<Lanes<T, N>>(y);
}
template <class T, int N, class F> ATTNC_INLINE Lanes<T, N> each(Lanes<T, N> a, Lanes<T, N> b, F f) {
  alignas(64) T y[N], z[N];
  put(y, a);
  put(z, b);
  for (int i = 0; i < N; ++i) y[i] = f(y[i], z[i]);
  return at<Lanes<T, N>>(y);
}
template <class T, int N, class F> ATTNC_INLINE T across(Lanes<T, N> x, F f) {
  alignas(64) T y[N];
  put(y, x);
  for (int half = N / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) y[i] = f(y[i], y[i + half]);
  return y[0];
}

}  // namespace attnc
