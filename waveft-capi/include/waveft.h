/*
 * waveft: WaveFT adapters and wavelet transforms in single precision, without allocation.
 *
 * An adapter, from its seed and its coefficients: waveft_locations, waveft_atoms_sort, waveft_gather, and then the functions
 * of a waveft_delta_weight. A transform: fill a waveft_dwt or waveft_wavedec2, ask for its lengths, call.
 *
 * Every function with a result tells in a waveft_status what it came to; after any but WAVEFT_OK nothing was written, except
 * where a function says so. Arguments are checked before anything is written.
 *
 * What is asked of every pointer: it is that of as many elements as its length says, initialised if they are read. A length
 * of 0 may go with a null pointer. What is written overlaps nothing else of the call, which is checked, and no other thread
 * uses it during the call. Nothing is kept, except where waveft_atoms says so, nothing is allocated, and there is no global
 * state: any number of threads may call.
 *
 * Made from the sources by cbindgen: not to be edited.
 */


#ifndef WAVEFT_H
#define WAVEFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bank of each wavelet, in read-only memory. */
#ifdef __cplusplus
extern "C" {
#endif
extern const struct waveft_filter_bank WAVEFT_BIOR1_1;
extern const struct waveft_filter_bank WAVEFT_BIOR1_3;
extern const struct waveft_filter_bank WAVEFT_BIOR1_5;
extern const struct waveft_filter_bank WAVEFT_BIOR2_2;
extern const struct waveft_filter_bank WAVEFT_BIOR2_4;
extern const struct waveft_filter_bank WAVEFT_BIOR2_6;
extern const struct waveft_filter_bank WAVEFT_BIOR2_8;
extern const struct waveft_filter_bank WAVEFT_BIOR3_1;
extern const struct waveft_filter_bank WAVEFT_BIOR3_3;
extern const struct waveft_filter_bank WAVEFT_BIOR3_5;
extern const struct waveft_filter_bank WAVEFT_BIOR3_7;
extern const struct waveft_filter_bank WAVEFT_BIOR3_9;
extern const struct waveft_filter_bank WAVEFT_BIOR4_4;
extern const struct waveft_filter_bank WAVEFT_BIOR5_5;
extern const struct waveft_filter_bank WAVEFT_BIOR6_8;
extern const struct waveft_filter_bank WAVEFT_COIF1;
extern const struct waveft_filter_bank WAVEFT_COIF2;
extern const struct waveft_filter_bank WAVEFT_COIF3;
extern const struct waveft_filter_bank WAVEFT_COIF4;
extern const struct waveft_filter_bank WAVEFT_COIF5;
extern const struct waveft_filter_bank WAVEFT_COIF6;
extern const struct waveft_filter_bank WAVEFT_COIF7;
extern const struct waveft_filter_bank WAVEFT_COIF8;
extern const struct waveft_filter_bank WAVEFT_COIF9;
extern const struct waveft_filter_bank WAVEFT_COIF10;
extern const struct waveft_filter_bank WAVEFT_COIF11;
extern const struct waveft_filter_bank WAVEFT_COIF12;
extern const struct waveft_filter_bank WAVEFT_COIF13;
extern const struct waveft_filter_bank WAVEFT_COIF14;
extern const struct waveft_filter_bank WAVEFT_COIF15;
extern const struct waveft_filter_bank WAVEFT_COIF16;
extern const struct waveft_filter_bank WAVEFT_COIF17;
extern const struct waveft_filter_bank WAVEFT_DB1;
extern const struct waveft_filter_bank WAVEFT_DB2;
extern const struct waveft_filter_bank WAVEFT_DB3;
extern const struct waveft_filter_bank WAVEFT_DB4;
extern const struct waveft_filter_bank WAVEFT_DB5;
extern const struct waveft_filter_bank WAVEFT_DB6;
extern const struct waveft_filter_bank WAVEFT_DB7;
extern const struct waveft_filter_bank WAVEFT_DB8;
extern const struct waveft_filter_bank WAVEFT_DB9;
extern const struct waveft_filter_bank WAVEFT_DB10;
extern const struct waveft_filter_bank WAVEFT_DB11;
extern const struct waveft_filter_bank WAVEFT_DB12;
extern const struct waveft_filter_bank WAVEFT_DB13;
extern const struct waveft_filter_bank WAVEFT_DB14;
extern const struct waveft_filter_bank WAVEFT_DB15;
extern const struct waveft_filter_bank WAVEFT_DB16;
extern const struct waveft_filter_bank WAVEFT_DB17;
extern const struct waveft_filter_bank WAVEFT_DB18;
extern const struct waveft_filter_bank WAVEFT_DB19;
extern const struct waveft_filter_bank WAVEFT_DB20;
extern const struct waveft_filter_bank WAVEFT_DB21;
extern const struct waveft_filter_bank WAVEFT_DB22;
extern const struct waveft_filter_bank WAVEFT_DB23;
extern const struct waveft_filter_bank WAVEFT_DB24;
extern const struct waveft_filter_bank WAVEFT_DB25;
extern const struct waveft_filter_bank WAVEFT_DB26;
extern const struct waveft_filter_bank WAVEFT_DB27;
extern const struct waveft_filter_bank WAVEFT_DB28;
extern const struct waveft_filter_bank WAVEFT_DB29;
extern const struct waveft_filter_bank WAVEFT_DB30;
extern const struct waveft_filter_bank WAVEFT_DB31;
extern const struct waveft_filter_bank WAVEFT_DB32;
extern const struct waveft_filter_bank WAVEFT_DB33;
extern const struct waveft_filter_bank WAVEFT_DB34;
extern const struct waveft_filter_bank WAVEFT_DB35;
extern const struct waveft_filter_bank WAVEFT_DB36;
extern const struct waveft_filter_bank WAVEFT_DB37;
extern const struct waveft_filter_bank WAVEFT_DB38;
extern const struct waveft_filter_bank WAVEFT_DMEY;
extern const struct waveft_filter_bank WAVEFT_HAAR;
extern const struct waveft_filter_bank WAVEFT_RBIO1_1;
extern const struct waveft_filter_bank WAVEFT_RBIO1_3;
extern const struct waveft_filter_bank WAVEFT_RBIO1_5;
extern const struct waveft_filter_bank WAVEFT_RBIO2_2;
extern const struct waveft_filter_bank WAVEFT_RBIO2_4;
extern const struct waveft_filter_bank WAVEFT_RBIO2_6;
extern const struct waveft_filter_bank WAVEFT_RBIO2_8;
extern const struct waveft_filter_bank WAVEFT_RBIO3_1;
extern const struct waveft_filter_bank WAVEFT_RBIO3_3;
extern const struct waveft_filter_bank WAVEFT_RBIO3_5;
extern const struct waveft_filter_bank WAVEFT_RBIO3_7;
extern const struct waveft_filter_bank WAVEFT_RBIO3_9;
extern const struct waveft_filter_bank WAVEFT_RBIO4_4;
extern const struct waveft_filter_bank WAVEFT_RBIO5_5;
extern const struct waveft_filter_bank WAVEFT_RBIO6_8;
extern const struct waveft_filter_bank WAVEFT_SYM2;
extern const struct waveft_filter_bank WAVEFT_SYM3;
extern const struct waveft_filter_bank WAVEFT_SYM4;
extern const struct waveft_filter_bank WAVEFT_SYM5;
extern const struct waveft_filter_bank WAVEFT_SYM6;
extern const struct waveft_filter_bank WAVEFT_SYM7;
extern const struct waveft_filter_bank WAVEFT_SYM8;
extern const struct waveft_filter_bank WAVEFT_SYM9;
extern const struct waveft_filter_bank WAVEFT_SYM10;
extern const struct waveft_filter_bank WAVEFT_SYM11;
extern const struct waveft_filter_bank WAVEFT_SYM12;
extern const struct waveft_filter_bank WAVEFT_SYM13;
extern const struct waveft_filter_bank WAVEFT_SYM14;
extern const struct waveft_filter_bank WAVEFT_SYM15;
extern const struct waveft_filter_bank WAVEFT_SYM16;
extern const struct waveft_filter_bank WAVEFT_SYM17;
extern const struct waveft_filter_bank WAVEFT_SYM18;
extern const struct waveft_filter_bank WAVEFT_SYM19;
extern const struct waveft_filter_bank WAVEFT_SYM20;
extern const struct waveft_filter_bank WAVEFT_PEFT_COIF4;
#ifdef __cplusplus
}
#endif

// What a call came to. After all but `WAVEFT_OK` nothing was written, except where a function says so.
typedef enum waveft_status {
    // All was done.
    WAVEFT_OK,
    // A null pointer where there must be memory.
    WAVEFT_NULL_POINTER,
    // A pointer that is not a multiple of its type's alignment.
    WAVEFT_MISALIGNED,
    // More elements than memory can hold.
    WAVEFT_SIZE_OVERFLOW,
    // Memory to be written that overlaps other memory of the same call.
    WAVEFT_OVERLAP,
    // Atoms that `waveft_atoms_sort` did not make.
    WAVEFT_NOT_SORTED,
    // A name that no discrete wavelet has.
    WAVEFT_UNKNOWN_WAVELET,
    // A number that is not a `waveft_mode`.
    WAVEFT_UNKNOWN_MODE,
    // A side of a matrix or a length of zero.
    WAVEFT_EMPTY_AXIS,
    // A side of a layer too long for an atom: length + taps must be below 2^30.
    WAVEFT_AXIS_TOO_LONG,
    // A number of taps that is odd, zero or above 128, or not that of the layer.
    WAVEFT_TAP_COUNT,
    // A tap that is NaN or infinite.
    WAVEFT_NON_FINITE,
    // A filter bank whose synthesis does not invert its analysis.
    WAVEFT_NOT_RECONSTRUCTING,
    // No locations, or more than the matrix has entries.
    WAVEFT_LOCATION_COUNT,
    // A location outside the layer, or an index outside the order.
    WAVEFT_OUT_OF_BOUNDS,
    // A location that comes twice.
    WAVEFT_REPEATED_LOCATION,
    // A hyperparameter outside its range.
    WAVEFT_OUT_OF_RANGE,
    // A buffer of another length than the call takes, or a matrix that ends beyond its memory.
    WAVEFT_LENGTH,
    // A signal shorter than its mode needs, or longer than memory.
    WAVEFT_SIGNAL_LENGTH,
    // A matrix of another shape than the call takes.
    WAVEFT_SHAPE,
    // Strides that place two entries in one element, or a gap between entries that the call cannot take.
    WAVEFT_STRIDE,
    // A level that the transform does not have, or more levels than the shape allows.
    WAVEFT_LEVELS,
    // A fault of the library: please report it. Outputs hold unspecified values.
    WAVEFT_INTERNAL,
} waveft_status;

// What a signal is taken to be beyond its ends: PyWavelets' nine modes.
typedef enum waveft_mode {
    // Zeros.
    WAVEFT_MODE_ZERO,
    // The end samples repeated.
    WAVEFT_MODE_CONSTANT,
    // Mirrored between samples.
    WAVEFT_MODE_SYMMETRIC,
    // Repeated.
    WAVEFT_MODE_PERIODIC,
    // The straight lines through the two samples at each end.
    WAVEFT_MODE_SMOOTH,
    // Repeated, with as few coefficients as can be.
    WAVEFT_MODE_PERIODIZATION,
    // Mirrored at the end samples; needs two.
    WAVEFT_MODE_REFLECT,
    // Mirrored between samples and negated.
    WAVEFT_MODE_ANTISYMMETRIC,
    // Turned about the end samples; needs two.
    WAVEFT_MODE_ANTIREFLECT,
} waveft_mode;

// A layer and the taps of the filters that its update is made of.
typedef struct waveft_layer {
    // Outputs, `M`.
    size_t out_features;
    // Inputs, `N`.
    size_t in_features;
    // Taps of the filters, `L`; 1 for an update without a wavelet (`use_idwt = false`).
    size_t taps;
    // Not 0 if the weight is stored in_features x out_features (`fan_in_fan_out`).
    uint32_t fan_in_fan_out;
} waveft_layer;

// A place in a matrix.
typedef struct waveft_location {
    // Row, from 0.
    uint32_t row;
    // Column, from 0.
    uint32_t column;
} waveft_location;

// Storage of one atom: where a coefficient's outer product of two filters lies.
typedef struct waveft_atom {
    uint32_t opaque[2];
} waveft_atom;

// A layer's atoms, made by `waveft_atoms_sort`: what layers of one shape and seed share.
//
// It keeps the address of the atoms' storage, which must stay as it is for as long as this is used. It may be moved or
// copied, and needs no freeing. Zeroed memory is refused with `WAVEFT_NOT_SORTED`.
typedef struct waveft_atoms {
    size_t opaque[8];
} waveft_atoms;

// Four filters of `taps` taps each, `L`: even, 2 to 128, with PyWavelets' names and order.
//
// Each of `WAVEFT_HAAR`, `WAVEFT_DB1`, … is a bank in read-only memory, and a program that names some links these only.
// A bank of one's own is a structure like any other.
typedef struct waveft_filter_bank {
    // The analysis low-pass filter.
    const float *dec_lo;
    // The analysis high-pass filter.
    const float *dec_hi;
    // The synthesis low-pass filter.
    const float *rec_lo;
    // The synthesis high-pass filter.
    const float *rec_hi;
    // Taps of each.
    size_t taps;
} waveft_filter_bank;

// An update ΔW = scaling · R · S · C^T of an M x N layer, never formed: a sparse spectrum S of `count` coefficients between
// two synthesis operators.
//
// All that it points to is only read. Every function that takes one also returns the errors of a wrong one:
// `WAVEFT_NOT_SORTED`, `WAVEFT_LENGTH` unless there are as many coefficients as atoms, `WAVEFT_TAP_COUNT` unless the bank
// has the layer's taps.
typedef struct waveft_delta_weight {
    // Where the coefficients lie.
    const struct waveft_atoms *atoms;
    // The coefficients in the atoms' order, which `waveft_gather` brings them into.
    const float *coefficients;
    // How many.
    size_t count;
    // The wavelet; null for an update without one.
    const struct waveft_filter_bank *bank;
    // The factor on all of ΔW.
    float scaling;
} waveft_delta_weight;

// A matrix to be written: as `waveft_matrix`, with strides that keep its entries apart.
typedef struct waveft_matrix_mut {
    // The first entry.
    float *data;
    // Elements of memory from there on.
    size_t len;
    // Rows.
    size_t rows;
    // Columns.
    size_t columns;
    // Elements from a row to the next.
    size_t row_stride;
    // Elements from a column to the next.
    size_t column_stride;
} waveft_matrix_mut;

// A matrix to be read: entry `(i, j)` is `data[i · row_stride + j · column_stride]`, and lies within `len` elements.
//
// A row-major matrix that fills its memory has `len = rows · columns`, `row_stride = columns` and `column_stride = 1`. All of
// the `len` elements are its memory, also those that strides leave out.
typedef struct waveft_matrix {
    // The first entry.
    const float *data;
    // Elements of memory from there on.
    size_t len;
    // Rows.
    size_t rows;
    // Columns.
    size_t columns;
    // Elements from a row to the next.
    size_t row_stride;
    // Elements from a column to the next.
    size_t column_stride;
} waveft_matrix;

// AdamW's hyperparameters. torch's defaults are 0.001, 0.01, 0.9, 0.999 and 1e-8.
typedef struct waveft_adam_w {
    // The step's length: finite, at least 0.
    double learning_rate;
    // What pulls values towards zero: finite, at least 0.
    double weight_decay;
    // What the first moment keeps of itself from step to step: at least 0, below 1.
    double first_beta;
    // What the second moment keeps: at least 0, below 1.
    double second_beta;
    // What keeps the denominator from zero: finite, at least 0.
    double epsilon;
} waveft_adam_w;

// One level of the transform of a line. Every function that takes one also returns the errors of a wrong one:
// `WAVEFT_TAP_COUNT`, `WAVEFT_UNKNOWN_MODE`, `WAVEFT_SIGNAL_LENGTH`.
typedef struct waveft_dwt {
    // The wavelet, with filters of `L` taps.
    const struct waveft_filter_bank *bank;
    // A `waveft_mode`.
    uint32_t mode;
    // Samples of the signal, `N`.
    size_t length;
} waveft_dwt;

// The lengths that a `waveft_dwt` takes, in elements.
typedef struct waveft_dwt_lengths {
    // Coefficients of each band: (N + L - 1) / 2, rounded down; for periodization N / 2, rounded up.
    size_t band;
    // Samples that synthesis gives: N, plus 1 if that is odd. The signal is the first N of them.
    size_t reconstructed;
    // Scratch that each function needs at least; what it holds is of no account.
    size_t scratch;
} waveft_dwt_lengths;

// The transform of an image over one or more levels, the same wavelet and mode along both axes; PyWavelets' `wavedec2`.
//
// Its coefficients are one buffer, the coarsest bands first, each row-major: with `a` for approximation and `d` for detail,
// first from row to row, then along a row, two levels are `aa2 ad2 da2 dd2 ad1 da1 dd1`. Images have a column stride of 1
// and any row stride.
//
// Every function that takes one also returns the errors of a wrong one: `WAVEFT_TAP_COUNT`, `WAVEFT_UNKNOWN_MODE`,
// `WAVEFT_SIGNAL_LENGTH`, `WAVEFT_LENGTH` for an image larger than memory, and `WAVEFT_LEVELS` unless
// `1 <= levels <= max(1, floor(log2(T / (L - 1))))`, `T` being the shorter side.
typedef struct waveft_wavedec2 {
    // The wavelet, with filters of `L` taps.
    const struct waveft_filter_bank *bank;
    // A `waveft_mode`.
    uint32_t mode;
    // Rows of the image.
    size_t rows;
    // Columns of the image.
    size_t columns;
    // How often it is split.
    size_t levels;
} waveft_wavedec2;

// The lengths that a `waveft_wavedec2` takes, in elements.
typedef struct waveft_wavedec2_lengths {
    // All coefficients.
    size_t coefficients;
    // Scratch that each function needs at least; what it holds is of no account.
    size_t scratch;
} waveft_wavedec2_lengths;

// Where a band lies among the coefficients, row-major.
typedef struct waveft_band {
    // Its first element.
    size_t start;
    // Its rows.
    size_t rows;
    // Its columns.
    size_t columns;
} waveft_band;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version, "major.minor.patch". It is never freed.
const char *waveft_version(void);

// Sorts the atoms of `count` locations into `storage`, and tells in `order` where each stood in `locations`: 8 + 4 bytes a
// coefficient. `locations` is not needed afterwards.
//
// `locations`, `storage` and `order` have `count` elements. In place, O(count · log count).
//
// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG`, `WAVEFT_TAP_COUNT`, `WAVEFT_OUT_OF_BOUNDS`, `WAVEFT_LENGTH` for 2^32
// locations or more, `WAVEFT_REPEATED_LOCATION`; only in the last case `storage` and `order` then hold unspecified values.
enum waveft_status waveft_atoms_sort(const struct waveft_layer *layer,
                                     const struct waveft_location *locations,
                                     size_t count,
                                     struct waveft_atom *storage,
                                     uint32_t *order,
                                     struct waveft_atoms *atoms);

// Brings coefficients from a file's order into the atoms': `sorted[k] = drawn[order[k]]`. All have `count` elements.
//
// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
enum waveft_status waveft_gather(const uint32_t *order, const float *drawn, float *sorted, size_t count);

// Brings coefficients or their gradients back into a file's order: `drawn[order[k]] = sorted[k]`. All have `count`
// elements.
//
// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
enum waveft_status waveft_scatter(const uint32_t *order, const float *sorted, float *drawn, size_t count);

// Writes ΔW over `weight`, which has the shape in which the layer's weight is stored.
//
// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH`.
enum waveft_status waveft_delta_weight_write(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// weight += ΔW, as PEFT merges. Entries that no atom covers are not touched. Cost: O(count · L²), as of subtracting,
// recording and undoing.
//
// Errors: those of `waveft_delta_weight_write`.
enum waveft_status waveft_delta_weight_add(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// weight -= ΔW, as PEFT unmerges: near what was there before, but not exactly.
//
// Errors: those of `waveft_delta_weight_write`.
enum waveft_status waveft_delta_weight_subtract(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// Elements that `waveft_delta_weight_add_recording` may overwrite, in `*len`: min(count · L², M · N).
enum waveft_status waveft_delta_weight_undo_len(const struct waveft_delta_weight *delta, size_t *len);

// `waveft_delta_weight_add` that keeps in `undo` what it overwrites; `undo_len` is what `waveft_delta_weight_undo_len` says.
//
// Errors: those of `waveft_delta_weight_write`; `WAVEFT_LENGTH` for another `undo_len`.
enum waveft_status waveft_delta_weight_add_recording(const struct waveft_delta_weight *delta,
                                                     const struct waveft_matrix_mut *weight,
                                                     float *undo,
                                                     size_t undo_len);

// Puts back every bit that `waveft_delta_weight_add_recording` overwrote. Several additions are undone last first.
//
// Errors: those of `waveft_delta_weight_add_recording`.
enum waveft_status waveft_delta_weight_undo(const struct waveft_delta_weight *delta,
                                            const struct waveft_matrix_mut *weight,
                                            const float *undo,
                                            size_t undo_len);

// Elements of scratch that `waveft_delta_weight_apply` and `waveft_delta_weight_apply_transposed` need, in `*len`. It depends
// on the layer, the number of coefficients and the target, not on the tokens.
enum waveft_status waveft_delta_weight_apply_scratch_len(const struct waveft_delta_weight *delta, size_t *len);

// y += x ΔW^T: what the update adds to the layer's output. `x` is tokens x N and `y` tokens x M, with any row stride and a
// column stride of 1. Cost: O((M + N) · L + count) a token.
//
// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH` (also for scratch that is too short), `WAVEFT_EMPTY_AXIS`.
enum waveft_status waveft_delta_weight_apply(const struct waveft_delta_weight *delta,
                                             const struct waveft_matrix *x,
                                             const struct waveft_matrix_mut *y,
                                             float *scratch,
                                             size_t scratch_len);

// dx += dy ΔW, the adjoint of `waveft_delta_weight_apply`: `dy` is tokens x M and `dx` tokens x N.
//
// Errors: those of `waveft_delta_weight_apply`.
enum waveft_status waveft_delta_weight_apply_transposed(const struct waveft_delta_weight *delta,
                                                        const struct waveft_matrix *dy,
                                                        const struct waveft_matrix_mut *dx,
                                                        float *scratch,
                                                        size_t scratch_len);

// y += x ΔW^T of one token, without scratch: `x` has N elements and `y` has M. Cost: O(count · L).
//
// Errors: `WAVEFT_LENGTH`.
enum waveft_status waveft_delta_weight_apply_token(const struct waveft_delta_weight *delta,
                                                   const float *x,
                                                   size_t x_len,
                                                   float *y,
                                                   size_t y_len);

// Elements of scratch that `waveft_delta_weight_backward` needs, in `*len`. It depends on the layer, the number of coefficients
// and the target, not on the tokens.
enum waveft_status waveft_delta_weight_backward_scratch_len(const struct waveft_delta_weight *delta, size_t *len);

// Gradients from `dy`, the loss' by the layer's output: adds those by the coefficients to `gradient`, in the atoms' order,
// and dy ΔW to `dx`, unless that is null.
//
// `x`, the layer's input, is tokens x N, `dy` tokens x M and `dx` tokens x N, with any row stride and a column stride of 1;
// `gradient` has `count` elements. Gradients are added to what is there: clear them before the first batch of a step.
//
// Errors: those of `waveft_delta_weight_apply`.
enum waveft_status waveft_delta_weight_backward(const struct waveft_delta_weight *delta,
                                                const struct waveft_matrix *x,
                                                const struct waveft_matrix *dy,
                                                const struct waveft_matrix_mut *dx,
                                                float *gradient,
                                                size_t count,
                                                float *scratch,
                                                size_t scratch_len);

// The bank that PyWavelets has under a name in lower case: "haar", "db1" to "db38", "sym2" to "sym20", "coif1" to "coif17",
// "dmey", "bior1.1" to "bior6.8", "rbio1.1" to "rbio6.8". It lives as long as the program.
//
// A program that calls this links the taps of every wavelet; one that has to be small names a `WAVEFT_…` bank.
//
// Errors: `WAVEFT_UNKNOWN_WAVELET`.
enum waveft_status waveft_filter_bank_named(const char *name, struct waveft_filter_bank *bank);

// Whether a bank of one's own reconstructs: whether synthesis undoes analysis, to 1e-5. No other function asks for that.
//
// Errors: `WAVEFT_TAP_COUNT`, `WAVEFT_NON_FINITE`, `WAVEFT_NOT_RECONSTRUCTING` (also of "dmey" and PEFT's coif4).
enum waveft_status waveft_filter_bank_check(const struct waveft_filter_bank *bank);

// Elements of scratch that drawing `count` locations of a `rows` x `columns` matrix takes, in `*len`: at most `8 · count`,
// and 0 from 214,748,364 entries on.
//
// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG` (sides of 2^30 or more), `WAVEFT_LOCATION_COUNT` unless
// `1 <= count <= rows · columns`.
enum waveft_status waveft_locations_scratch_len(size_t rows, size_t columns, size_t count, size_t *len);

// Draws where a `rows` x `columns` layer (out_features x in_features) has its trained coefficients, as PEFT and torch do
// from a seed, bit for bit: location `k` is that of coefficient `k` in a file.
//
// `locations` has `count` elements, `scratch` at least as many as `waveft_locations_scratch_len` says, of any content. A
// negative seed is its two's complement. Cost: O(count); from 214,748,364 entries on two draws for each entry.
//
// Errors: those of `waveft_locations_scratch_len`, `WAVEFT_LENGTH`.
enum waveft_status waveft_locations(size_t rows,
                                    size_t columns,
                                    uint64_t seed,
                                    struct waveft_location *locations,
                                    size_t count,
                                    uint32_t *scratch,
                                    size_t scratch_len);

// One step of AdamW on `len` values, as torch takes it. The moments are zero before the first step, which is number 1, and
// are all that it remembers.
//
// `values`, `gradient` and both moments have `len` elements. Cost: a read of all four and a write of three.
//
// Errors: `WAVEFT_OUT_OF_RANGE` for a hyperparameter or step 0.
enum waveft_status waveft_adam_w_step(const struct waveft_adam_w *adam_w,
                                      uint64_t step,
                                      float *values,
                                      const float *gradient,
                                      float *first_moment,
                                      float *second_moment,
                                      size_t len);

// The sum of the squares of `len` entries, in `*sum`, added in double precision. The norm of several gradients is the square
// root of the sum of theirs; the sum is finite if and only if all entries are.
enum waveft_status waveft_sum_of_squares(const float *gradient, size_t len, double *sum);

// The factor that brings gradients of a norm to at most `max_norm`, in `*factor`: min(1, max_norm / (norm + 1e-6)), as
// torch's `clip_grad_norm_`.
//
// Errors: `WAVEFT_OUT_OF_RANGE` unless both are finite and at least 0.
enum waveft_status waveft_clip_factor(double max_norm, double norm, double *factor);

// Multiplies `len` entries by `factor`, rounded to single precision first.
enum waveft_status waveft_scale(float *gradient, size_t len, double factor);

// What a status means, in English and without a full stop; of a number that is no status too. It is never freed.
const char *waveft_status_message(uint32_t status);

// The lengths of a transform, in `*lengths`.
enum waveft_status waveft_dwt_measure(const struct waveft_dwt *dwt, struct waveft_dwt_lengths *lengths);

// Analysis: from a signal of N samples to an approximation and a detail of `band` coefficients each.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_forward(const struct waveft_dwt *dwt,
                                      const float *signal,
                                      size_t signal_len,
                                      float *approximation,
                                      float *detail,
                                      size_t band_len,
                                      float *scratch,
                                      size_t scratch_len);

// Synthesis: from both bands to `reconstructed` samples.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_inverse(const struct waveft_dwt *dwt,
                                      const float *approximation,
                                      const float *detail,
                                      size_t band_len,
                                      float *signal,
                                      size_t signal_len,
                                      float *scratch,
                                      size_t scratch_len);

// The adjoint of analysis, which takes a gradient by the coefficients to that by the N samples.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_forward_adjoint(const struct waveft_dwt *dwt,
                                              const float *approximation,
                                              const float *detail,
                                              size_t band_len,
                                              float *signal,
                                              size_t signal_len,
                                              float *scratch,
                                              size_t scratch_len);

// The adjoint of synthesis, which takes a gradient by the `reconstructed` samples to that by the coefficients.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_inverse_adjoint(const struct waveft_dwt *dwt,
                                              const float *signal,
                                              size_t signal_len,
                                              float *approximation,
                                              float *detail,
                                              size_t band_len,
                                              float *scratch,
                                              size_t scratch_len);

// The lengths of a transform, in `*lengths`.
enum waveft_status waveft_wavedec2_measure(const struct waveft_wavedec2 *wavedec2, struct waveft_wavedec2_lengths *lengths);

// Where a band lies: of level 1, the finest, to `levels`, the detail or the approximation from row to row and along a row.
// Only the last level has a band that is no detail at all.
//
// Errors: `WAVEFT_LEVELS`.
enum waveft_status waveft_wavedec2_band(const struct waveft_wavedec2 *wavedec2,
                                        size_t level,
                                        bool row_detail,
                                        bool column_detail,
                                        struct waveft_band *band);

// Analysis of an image.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_forward(const struct waveft_wavedec2 *wavedec2,
                                           const struct waveft_matrix *image,
                                           float *coefficients,
                                           size_t coefficients_len,
                                           float *scratch,
                                           size_t scratch_len);

// Synthesis: the image of these coefficients.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_inverse(const struct waveft_wavedec2 *wavedec2,
                                           const float *coefficients,
                                           size_t coefficients_len,
                                           const struct waveft_matrix_mut *image,
                                           float *scratch,
                                           size_t scratch_len);

// The adjoint of analysis, which takes a gradient by the coefficients to that by the image.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_forward_adjoint(const struct waveft_wavedec2 *wavedec2,
                                                   const float *coefficients,
                                                   size_t coefficients_len,
                                                   const struct waveft_matrix_mut *image,
                                                   float *scratch,
                                                   size_t scratch_len);

// The adjoint of synthesis, which takes a gradient by the image to that by the coefficients.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_inverse_adjoint(const struct waveft_wavedec2 *wavedec2,
                                                   const struct waveft_matrix *image,
                                                   float *coefficients,
                                                   size_t coefficients_len,
                                                   float *scratch,
                                                   size_t scratch_len);

// What a status means, in English and without a full stop; of a number that is no status too. It is never freed.
const char *waveft_status_message(uint32_t status);

// The bank that PyWavelets has under a name in lower case: "haar", "db1" to "db38", "sym2" to "sym20", "coif1" to "coif17",
// "dmey", "bior1.1" to "bior6.8", "rbio1.1" to "rbio6.8". It lives as long as the program.
//
// A program that calls this links the taps of every wavelet; one that has to be small names a `WAVEFT_…` bank.
//
// Errors: `WAVEFT_UNKNOWN_WAVELET`.
enum waveft_status waveft_filter_bank_named(const char *name, struct waveft_filter_bank *bank);

// Whether a bank of one's own reconstructs: whether synthesis undoes analysis, to 1e-5. No other function asks for that.
//
// Errors: `WAVEFT_TAP_COUNT`, `WAVEFT_NON_FINITE`, `WAVEFT_NOT_RECONSTRUCTING` (also of "dmey" and PEFT's coif4).
enum waveft_status waveft_filter_bank_check(const struct waveft_filter_bank *bank);

// Elements of scratch that drawing `count` locations of a `rows` x `columns` matrix takes, in `*len`: at most `8 · count`,
// and 0 from 214,748,364 entries on.
//
// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG` (sides of 2^30 or more), `WAVEFT_LOCATION_COUNT` unless
// `1 <= count <= rows · columns`.
enum waveft_status waveft_locations_scratch_len(size_t rows, size_t columns, size_t count, size_t *len);

// Draws where a `rows` x `columns` layer (out_features x in_features) has its trained coefficients, as PEFT and torch do
// from a seed, bit for bit: location `k` is that of coefficient `k` in a file.
//
// `locations` has `count` elements, `scratch` at least as many as `waveft_locations_scratch_len` says, of any content. A
// negative seed is its two's complement. Cost: O(count); from 214,748,364 entries on two draws for each entry.
//
// Errors: those of `waveft_locations_scratch_len`, `WAVEFT_LENGTH`.
enum waveft_status waveft_locations(size_t rows,
                                    size_t columns,
                                    uint64_t seed,
                                    struct waveft_location *locations,
                                    size_t count,
                                    uint32_t *scratch,
                                    size_t scratch_len);

// Sorts the atoms of `count` locations into `storage`, and tells in `order` where each stood in `locations`: 8 + 4 bytes a
// coefficient. `locations` is not needed afterwards.
//
// `locations`, `storage` and `order` have `count` elements. In place, O(count · log count).
//
// Errors: `WAVEFT_EMPTY_AXIS`, `WAVEFT_AXIS_TOO_LONG`, `WAVEFT_TAP_COUNT`, `WAVEFT_OUT_OF_BOUNDS`, `WAVEFT_LENGTH` for 2^32
// locations or more, `WAVEFT_REPEATED_LOCATION`; only in the last case `storage` and `order` then hold unspecified values.
enum waveft_status waveft_atoms_sort(const struct waveft_layer *layer,
                                     const struct waveft_location *locations,
                                     size_t count,
                                     struct waveft_atom *storage,
                                     uint32_t *order,
                                     struct waveft_atoms *atoms);

// Brings coefficients from a file's order into the atoms': `sorted[k] = drawn[order[k]]`. All have `count` elements.
//
// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
enum waveft_status waveft_gather(const uint32_t *order, const float *drawn, float *sorted, size_t count);

// Brings coefficients or their gradients back into a file's order: `drawn[order[k]] = sorted[k]`. All have `count`
// elements.
//
// Errors: `WAVEFT_OUT_OF_BOUNDS` if `order` has an index of `count` or more.
enum waveft_status waveft_scatter(const uint32_t *order, const float *sorted, float *drawn, size_t count);

// Writes ΔW over `weight`, which has the shape in which the layer's weight is stored.
//
// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH`.
enum waveft_status waveft_delta_weight_write(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// weight += ΔW, as PEFT merges. Entries that no atom covers are not touched. Cost: O(count · L²), as of subtracting,
// recording and undoing.
//
// Errors: those of `waveft_delta_weight_write`.
enum waveft_status waveft_delta_weight_add(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// weight -= ΔW, as PEFT unmerges: near what was there before, but not exactly.
//
// Errors: those of `waveft_delta_weight_write`.
enum waveft_status waveft_delta_weight_subtract(const struct waveft_delta_weight *delta, const struct waveft_matrix_mut *weight);

// Elements that `waveft_delta_weight_add_recording` may overwrite, in `*len`: min(count · L², M · N).
enum waveft_status waveft_delta_weight_undo_len(const struct waveft_delta_weight *delta, size_t *len);

// `waveft_delta_weight_add` that keeps in `undo` what it overwrites; `undo_len` is what `waveft_delta_weight_undo_len` says.
//
// Errors: those of `waveft_delta_weight_write`; `WAVEFT_LENGTH` for another `undo_len`.
enum waveft_status waveft_delta_weight_add_recording(const struct waveft_delta_weight *delta,
                                                     const struct waveft_matrix_mut *weight,
                                                     float *undo,
                                                     size_t undo_len);

// Puts back every bit that `waveft_delta_weight_add_recording` overwrote. Several additions are undone last first.
//
// Errors: those of `waveft_delta_weight_add_recording`.
enum waveft_status waveft_delta_weight_undo(const struct waveft_delta_weight *delta,
                                            const struct waveft_matrix_mut *weight,
                                            const float *undo,
                                            size_t undo_len);

// Elements of scratch that `waveft_delta_weight_apply` and `waveft_delta_weight_apply_transposed` need, in `*len`. It depends
// on the layer, the number of coefficients and the target, not on the tokens.
enum waveft_status waveft_delta_weight_apply_scratch_len(const struct waveft_delta_weight *delta, size_t *len);

// y += x ΔW^T: what the update adds to the layer's output. `x` is tokens x N and `y` tokens x M, with any row stride and a
// column stride of 1. Cost: O((M + N) · L + count) a token.
//
// Errors: `WAVEFT_SHAPE`, `WAVEFT_STRIDE`, `WAVEFT_LENGTH` (also for scratch that is too short), `WAVEFT_EMPTY_AXIS`.
enum waveft_status waveft_delta_weight_apply(const struct waveft_delta_weight *delta,
                                             const struct waveft_matrix *x,
                                             const struct waveft_matrix_mut *y,
                                             float *scratch,
                                             size_t scratch_len);

// dx += dy ΔW, the adjoint of `waveft_delta_weight_apply`: `dy` is tokens x M and `dx` tokens x N.
//
// Errors: those of `waveft_delta_weight_apply`.
enum waveft_status waveft_delta_weight_apply_transposed(const struct waveft_delta_weight *delta,
                                                        const struct waveft_matrix *dy,
                                                        const struct waveft_matrix_mut *dx,
                                                        float *scratch,
                                                        size_t scratch_len);

// y += x ΔW^T of one token, without scratch: `x` has N elements and `y` has M. Cost: O(count · L).
//
// Errors: `WAVEFT_LENGTH`.
enum waveft_status waveft_delta_weight_apply_token(const struct waveft_delta_weight *delta,
                                                   const float *x,
                                                   size_t x_len,
                                                   float *y,
                                                   size_t y_len);

// Elements of scratch that `waveft_delta_weight_backward` needs, in `*len`. It depends on the layer, the number of coefficients
// and the target, not on the tokens.
enum waveft_status waveft_delta_weight_backward_scratch_len(const struct waveft_delta_weight *delta, size_t *len);

// Gradients from `dy`, the loss' by the layer's output: adds those by the coefficients to `gradient`, in the atoms' order,
// and dy ΔW to `dx`, unless that is null.
//
// `x`, the layer's input, is tokens x N, `dy` tokens x M and `dx` tokens x N, with any row stride and a column stride of 1;
// `gradient` has `count` elements. Gradients are added to what is there: clear them before the first batch of a step.
//
// Errors: those of `waveft_delta_weight_apply`.
enum waveft_status waveft_delta_weight_backward(const struct waveft_delta_weight *delta,
                                                const struct waveft_matrix *x,
                                                const struct waveft_matrix *dy,
                                                const struct waveft_matrix_mut *dx,
                                                float *gradient,
                                                size_t count,
                                                float *scratch,
                                                size_t scratch_len);

// One step of AdamW on `len` values, as torch takes it. The moments are zero before the first step, which is number 1, and
// are all that it remembers.
//
// `values`, `gradient` and both moments have `len` elements. Cost: a read of all four and a write of three.
//
// Errors: `WAVEFT_OUT_OF_RANGE` for a hyperparameter or step 0.
enum waveft_status waveft_adam_w_step(const struct waveft_adam_w *adam_w,
                                      uint64_t step,
                                      float *values,
                                      const float *gradient,
                                      float *first_moment,
                                      float *second_moment,
                                      size_t len);

// The sum of the squares of `len` entries, in `*sum`, added in double precision. The norm of several gradients is the square
// root of the sum of theirs; the sum is finite if and only if all entries are.
enum waveft_status waveft_sum_of_squares(const float *gradient, size_t len, double *sum);

// The factor that brings gradients of a norm to at most `max_norm`, in `*factor`: min(1, max_norm / (norm + 1e-6)), as
// torch's `clip_grad_norm_`.
//
// Errors: `WAVEFT_OUT_OF_RANGE` unless both are finite and at least 0.
enum waveft_status waveft_clip_factor(double max_norm, double norm, double *factor);

// Multiplies `len` entries by `factor`, rounded to single precision first.
enum waveft_status waveft_scale(float *gradient, size_t len, double factor);

// The lengths of a transform, in `*lengths`.
enum waveft_status waveft_dwt_measure(const struct waveft_dwt *dwt, struct waveft_dwt_lengths *lengths);

// Analysis: from a signal of N samples to an approximation and a detail of `band` coefficients each.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_forward(const struct waveft_dwt *dwt,
                                      const float *signal,
                                      size_t signal_len,
                                      float *approximation,
                                      float *detail,
                                      size_t band_len,
                                      float *scratch,
                                      size_t scratch_len);

// Synthesis: from both bands to `reconstructed` samples.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_inverse(const struct waveft_dwt *dwt,
                                      const float *approximation,
                                      const float *detail,
                                      size_t band_len,
                                      float *signal,
                                      size_t signal_len,
                                      float *scratch,
                                      size_t scratch_len);

// The adjoint of analysis, which takes a gradient by the coefficients to that by the N samples.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is N, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_forward_adjoint(const struct waveft_dwt *dwt,
                                              const float *approximation,
                                              const float *detail,
                                              size_t band_len,
                                              float *signal,
                                              size_t signal_len,
                                              float *scratch,
                                              size_t scratch_len);

// The adjoint of synthesis, which takes a gradient by the `reconstructed` samples to that by the coefficients.
//
// Errors: `WAVEFT_LENGTH` unless `signal_len` is `reconstructed`, `band_len` is `band` and `scratch_len` at least `scratch`.
enum waveft_status waveft_dwt_inverse_adjoint(const struct waveft_dwt *dwt,
                                              const float *signal,
                                              size_t signal_len,
                                              float *approximation,
                                              float *detail,
                                              size_t band_len,
                                              float *scratch,
                                              size_t scratch_len);

// The lengths of a transform, in `*lengths`.
enum waveft_status waveft_wavedec2_measure(const struct waveft_wavedec2 *wavedec2, struct waveft_wavedec2_lengths *lengths);

// Where a band lies: of level 1, the finest, to `levels`, the detail or the approximation from row to row and along a row.
// Only the last level has a band that is no detail at all.
//
// Errors: `WAVEFT_LEVELS`.
enum waveft_status waveft_wavedec2_band(const struct waveft_wavedec2 *wavedec2,
                                        size_t level,
                                        bool row_detail,
                                        bool column_detail,
                                        struct waveft_band *band);

// Analysis of an image.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_forward(const struct waveft_wavedec2 *wavedec2,
                                           const struct waveft_matrix *image,
                                           float *coefficients,
                                           size_t coefficients_len,
                                           float *scratch,
                                           size_t scratch_len);

// Synthesis: the image of these coefficients.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_inverse(const struct waveft_wavedec2 *wavedec2,
                                           const float *coefficients,
                                           size_t coefficients_len,
                                           const struct waveft_matrix_mut *image,
                                           float *scratch,
                                           size_t scratch_len);

// The adjoint of analysis, which takes a gradient by the coefficients to that by the image.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_forward_adjoint(const struct waveft_wavedec2 *wavedec2,
                                                   const float *coefficients,
                                                   size_t coefficients_len,
                                                   const struct waveft_matrix_mut *image,
                                                   float *scratch,
                                                   size_t scratch_len);

// The adjoint of synthesis, which takes a gradient by the image to that by the coefficients.
//
// Errors: `WAVEFT_SHAPE` unless `image` is `rows` x `columns`, `WAVEFT_STRIDE` unless its column stride is 1, `WAVEFT_LENGTH`
// unless `coefficients_len` is `coefficients` and `scratch_len` at least `scratch`.
enum waveft_status waveft_wavedec2_inverse_adjoint(const struct waveft_wavedec2 *wavedec2,
                                                   const struct waveft_matrix *image,
                                                   float *coefficients,
                                                   size_t coefficients_len,
                                                   float *scratch,
                                                   size_t scratch_len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WAVEFT_H */
