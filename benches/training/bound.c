// What bounds a training step: forward and backward of one layer under db1 by hand, for 4096 × 4096 and AVX2 alone, with nothing
// checked and everything that does not depend on tokens prepared beforehand. Started by `benches/training/run` where there is a
// C compiler; what it adds to the tokens is what waveft adds, but for the places, which are drawn otherwise.
//
//     cc -O3 -mavx2 -mfma bound.c -o bound && ./bound 512 2592 40
//
// Prints the nanoseconds of adding x to y and dy to dx, and of a step, so many times.
#define _GNU_SOURCE
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 4096, LANES = 8, GROUP = 128, LINE = 16, LINES = GROUP / LINE, UNTIMED = 10 };
#define INLINE static inline __attribute__((always_inline))

typedef struct { uint32_t slot, other; float coefficient; } Atom;

// Atoms in the order in which a side is swept, and the first of each group's.
typedef struct { Atom *atoms; int first[SIDE / GROUP + 1]; } Order;

static __m256 kept[SIDE], spread[GROUP], swept[GROUP];

// Asks the second-level cache for lines [from, to) of eight tokens' features.
INLINE void ask(const float *tokens, int from, int to) {
    for (int line = from; line < to; line++)
        for (int row = 0; row < LANES; row++)
            _mm_prefetch((const char *)(tokens + (size_t)row * SIDE + line * LINE), _MM_HINT_T1);
}

INLINE void transpose_halves(const __m256 from[4], __m256 to[4]) {
    __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(from[0], from[1]));
    __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(from[0], from[1]));
    __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(from[2], from[3]));
    __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(from[2], from[3]));
    to[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
    to[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
    to[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
    to[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
}

INLINE void transpose(const __m256 from[8], __m256 to[8]) {
    __m256 low[4], high[4];
    transpose_halves(from, low);
    transpose_halves(from + 4, high);
    for (int at = 0; at < 4; at++) {
        to[at] = _mm256_permute2f128_ps(low[at], high[at], 0x20);
        to[at + 4] = _mm256_permute2f128_ps(low[at], high[at], 0x31);
    }
}

// Both filters, which are their own inverse.
INLINE void filter(const __m256 from[8], __m256 to[8]) {
    __m256 tap = _mm256_set1_ps(0.70710678f);
    for (int at = 0; at < 8; at += 2) {
        __m256 first = _mm256_mul_ps(from[at], tap);
        to[at] = _mm256_fmadd_ps(from[at + 1], tap, first);
        to[at + 1] = _mm256_fnmadd_ps(from[at + 1], tap, first);
    }
}

// The slots of `features` features; asks for the first `lines` lines of others meanwhile.
INLINE void analyse(const float *tokens, int features, __m256 *slots, const float *others, int lines) {
    for (int feature = 0; feature < features; feature += 8) {
        __m256 rows[8], tile[8], filtered[8];
        for (int row = 0; row < 8; row++) rows[row] = _mm256_loadu_ps(tokens + (size_t)row * SIDE + feature);
        transpose(rows, tile);
        filter(tile, filtered);
        for (int at = 0; at < 8; at++) slots[feature + at] = filtered[at];
        if (feature % LINE == 0 && feature / LINE < lines) ask(others, feature / LINE, feature / LINE + 1);
    }
}

// Adds a group's slots to its features and clears them; asks for the first `lines` lines of others meanwhile.
INLINE void synthesise(float *tokens, float scaling, const float *others, int lines) {
    __m256 factor = _mm256_set1_ps(scaling);
    for (int feature = 0; feature < GROUP; feature += 8) {
        __m256 filtered[8], rows[8];
        filter(spread + feature, filtered);
        for (int at = 0; at < 8; at++) spread[feature + at] = _mm256_setzero_ps();
        transpose(filtered, rows);
        float *to = tokens + feature;
        for (int row = 0; row < 8; row++) rows[row] = _mm256_fmadd_ps(rows[row], factor, _mm256_loadu_ps(to + (size_t)row * SIDE));
        for (int row = 0; row < 8; row++) _mm256_storeu_ps(to + (size_t)row * SIDE, rows[row]);
        if (feature % LINE == 0 && feature / LINE < lines) ask(others, feature / LINE, feature / LINE + 1);
    }
}

INLINE __m256 pass(const Atom *atom) {
    __m256 other = kept[atom->other];
    spread[atom->slot] = _mm256_fmadd_ps(other, _mm256_broadcast_ss(&atom->coefficient), spread[atom->slot]);
    return _mm256_mul_ps(swept[atom->slot], other);
}

INLINE __m256 sums_of_halves(const __m256 of[4]) {
    __m256 a = _mm256_add_ps(_mm256_unpacklo_ps(of[0], of[1]), _mm256_unpackhi_ps(of[0], of[1]));
    __m256 b = _mm256_add_ps(_mm256_unpacklo_ps(of[2], of[3]), _mm256_unpackhi_ps(of[2], of[3]));
    __m256d c = _mm256_castps_pd(a), d = _mm256_castps_pd(b);
    return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(c, d)), _mm256_castpd_ps(_mm256_unpackhi_pd(c, d)));
}

// The atoms of a group, with their gradients if there are any; asks for the last lines of the tokens meanwhile.
INLINE void pass_all(const Order *order, int group, float *gradient, float scaling, const float *tokens) {
    const Atom *atoms = order->atoms;
    int at = order->first[group], end = order->first[group + 1], line = LINES / 2;
    for (; at < end; at += 8) {
        __m256 products[8];
        for (int of = 0; of < 8; of++) products[of] = at + of < end ? pass(atoms + at + of) : _mm256_setzero_ps();
        if (line < LINES) ask(tokens, line, line + 1), line++;
        if (gradient) {
            __m256 low = sums_of_halves(products), high = sums_of_halves(products + 4);
            __m256 sums = _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
            __m256 before = _mm256_loadu_ps(gradient + at);
            _mm256_storeu_ps(gradient + at, _mm256_fmadd_ps(sums, _mm256_set1_ps(scaling), before));
        }
    }
    ask(tokens, line, LINES);
}

__attribute__((noinline)) static void forward(const Order *rows, const float *x, float *y, float scaling, int tokens) {
    for (int token = 0; token < tokens; token += LANES, x += LANES * SIDE, y += LANES * SIDE) {
        analyse(x, SIDE, kept, NULL, 0);
        for (int group = 0; group < SIDE / GROUP; group++) {
            float *to = y + group * GROUP;
            pass_all(rows, group, NULL, scaling, to);
            synthesise(to, scaling, to + GROUP, LINES / 2);
        }
    }
}

__attribute__((noinline)) static void backward(
    const Order *columns, const float *x, const float *dy, float *dx, float *gradient, float scaling, int tokens
) {
    for (int token = 0; token < tokens; token += LANES, x += LANES * SIDE, dy += LANES * SIDE, dx += LANES * SIDE) {
        analyse(dy, SIDE, kept, NULL, 0);
        for (int group = 0; group < SIDE / GROUP; group++) {
            const float *from = x + group * GROUP;
            float *to = dx + group * GROUP;
            analyse(from, GROUP, swept, to, LINES / 2);
            pass_all(columns, group, gradient, scaling, to);
            synthesise(to, scaling, from + GROUP, LINES);
        }
    }
}

__attribute__((noinline)) static void stream(const float *from, float *to, size_t count) {
    for (size_t at = 0; at < count; at++) to[at] += from[at];
}

static int by_slot(const void *one, const void *other) {
    const Atom *a = one, *b = other;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static Order order(const uint32_t (*places)[2], int count, int swept_side) {
    // A group's last eight may reach behind its end, and the last group's behind all.
    Order order = { calloc(count + LANES, sizeof(Atom)), { 0 } };
    for (int at = 0; at < count; at++)
        order.atoms[at] = (Atom){ places[at][swept_side], places[at][!swept_side], 1e-3f };
    qsort(order.atoms, count, sizeof(Atom), by_slot);
    for (int at = 0; at < count; at++) {
        order.first[order.atoms[at].slot / GROUP + 1] = at + 1;
        order.atoms[at].slot %= GROUP;
    }
    for (int group = 0; group < SIDE / GROUP; group++)
        if (order.first[group + 1] < order.first[group]) order.first[group + 1] = order.first[group];
    return order;
}

static float *numbers(int tokens) {
    // What is asked for may lie behind.
    size_t count = (size_t)(tokens + LANES) * SIDE;
    float *all = aligned_alloc(64, count * sizeof(float));
    for (size_t at = 0; at < count; at++) all[at] = (float)(at * 37 % 101) / 64 - 0.78f;
    return all;
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **words) {
    if (count != 4 || atoi(words[1]) % LANES) {
        fprintf(stderr, "Tokens, a multiple of %d; coefficients; times\n", LANES);
        return 2;
    }
    int tokens = atoi(words[1]), atoms = atoi(words[2]), times = atoi(words[3]);
    uint32_t(*places)[2] = calloc(atoms, sizeof *places);
    srand(777);
    for (int at = 0; at < atoms; at++)
        for (int side = 0; side < 2; side++) places[at][side] = (uint32_t)rand() % SIDE;
    Order rows = order(places, atoms, 0), columns = order(places, atoms, 1);
    float *x = numbers(tokens), *y = numbers(tokens), *dy = numbers(tokens), *dx = numbers(tokens);
    float *gradient = calloc(atoms + LANES, sizeof(float));
    size_t all = (size_t)tokens * SIDE;
    for (int time = -UNTIMED; time < times; time++) {
        long long start = now();
        stream(x, y, all);
        stream(dy, dx, all);
        long long streamed = now();
        forward(&rows, x, y, 25, tokens);
        backward(&columns, x, dy, dx, gradient, 25, tokens);
        long long end = now();
        if (time >= 0) printf("%lld %lld ", streamed - start, end - streamed);
    }
    puts("");
    // Read, so that nothing is left out.
    fprintf(stderr, "%g\n", gradient[0] + y[1] + dx[2]);
    return 0;
}
