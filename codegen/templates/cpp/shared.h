// Functions that kernels have in common: one that is compiled already is only declared.
#pragma once

#define ATTNC_INSTANCE(HOW, NAME, ...) namespace attnc { HOW decltype(NAME<__VA_ARGS__>) NAME<__VA_ARGS__>; }
#define ATTNC_MAKES(NAME, ...) ATTNC_INSTANCE(template, NAME, __VA_ARGS__)
#if defined(ATTNC_APART)
#define ATTNC_USES(NAME, ...) ATTNC_INSTANCE(extern template, NAME, __VA_ARGS__)
#else
#define ATTNC_USES(NAME, ...)
#endif
