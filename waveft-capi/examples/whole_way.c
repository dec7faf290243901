/*
 * The whole way of an adapter and of a transform in C: draw the places of the coefficients, add the update to a weight and
 * take it back, multiply tokens without forming it, train it, transform signals there and back, and be refused.
 *
 * Nothing of C's library is used, so that the program is the same with and without an operating system.
 */
#include "whole_way.h"

#include "waveft.h"

enum { OUTPUTS = 40, INPUTS = 56, COUNT = 60, TOKENS = 19, STEPS = 60, SAMPLES = 333, ROWS = 37, COLUMNS = 52 };

static int failures;

/* Counts a check, and says what failed. */
static void check(int holds, const char *what)
{
    if (!holds) {
        failures++;
        say("failed:");
        say(what);
    }
}

#define CHECK(condition) check(condition, #condition)
#define OK(call) check((call) == WAVEFT_OK, #call)

static float *floats(size_t count)
{
    float *data = memory_for(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        data[i] = 0.0f;
    return data;
}

/* Numbers between -1 and 1 without a pattern, the same everywhere. */
static void fill(float *data, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static float largest_difference(const float *left, const float *right, size_t count)
{
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++) {
        float difference = left[i] > right[i] ? left[i] - right[i] : right[i] - left[i];
        if (!(difference <= largest)) /* also if it is NaN */
            largest = difference;
    }
    return largest;
}

static double product(const float *left, const float *right, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (double)left[i] * (double)right[i];
    return sum;
}

static int near(double left, double right, double tolerance)
{
    double difference = left > right ? left - right : right - left;
    return difference <= tolerance;
}

static waveft_matrix matrix(const float *data, size_t rows, size_t columns)
{
    return (waveft_matrix){data, rows * columns, rows, columns, columns, 1};
}

static waveft_matrix_mut matrix_mut(float *data, size_t rows, size_t columns)
{
    return (waveft_matrix_mut){data, rows * columns, rows, columns, columns, 1};
}

/* The places of seed 777, as torch.randperm gives them. */
static void draw(void)
{
    static const waveft_location expected[3] = {{335, 2151}, {2011, 3029}, {1651, 3799}};
    size_t len = 0;
    OK(waveft_locations_scratch_len(4096, 4096, 3, &len));
    uint32_t *scratch = memory_for(len * sizeof(uint32_t));
    waveft_location *locations = memory_for(3 * sizeof(waveft_location));
    OK(waveft_locations(4096, 4096, 777, locations, 3, scratch, len));
    for (size_t k = 0; k < 3; k++)
        CHECK(locations[k].row == expected[k].row && locations[k].column == expected[k].column);
}

/* An adapter of an OUTPUTS x INPUTS layer; its coefficients come in a file's order. */
static waveft_delta_weight adapter(waveft_atoms *atoms, float *coefficients, const float *drawn)
{
    size_t len = 0;
    OK(waveft_locations_scratch_len(OUTPUTS, INPUTS, COUNT, &len));
    uint32_t *scratch = memory_for(len * sizeof(uint32_t));
    waveft_location *locations = memory_for(COUNT * sizeof(waveft_location));
    OK(waveft_locations(OUTPUTS, INPUTS, 777, locations, COUNT, scratch, len));

    const waveft_layer layer = {OUTPUTS, INPUTS, WAVEFT_DB4.taps, 0};
    waveft_atom *storage = memory_for(COUNT * sizeof(waveft_atom));
    uint32_t *order = memory_for(COUNT * sizeof(uint32_t));
    OK(waveft_atoms_sort(&layer, locations, COUNT, storage, order, atoms));
    OK(waveft_gather(order, drawn, coefficients, COUNT));

    float *back = floats(COUNT);
    OK(waveft_scatter(order, coefficients, back, COUNT));
    CHECK(largest_difference(drawn, back, COUNT) == 0.0f);
    return (waveft_delta_weight){atoms, coefficients, COUNT, &WAVEFT_DB4, 25.0f};
}

/* Added to a weight and taken back, every bit as before. */
static void add_and_undo(const waveft_delta_weight *delta)
{
    const size_t entries = (size_t)OUTPUTS * INPUTS;
    float *weight = floats(entries), *before = floats(entries), *update = floats(entries);
    fill(weight, entries, 1);
    fill(before, entries, 1);
    waveft_matrix_mut view = matrix_mut(weight, OUTPUTS, INPUTS);
    waveft_matrix_mut update_view = matrix_mut(update, OUTPUTS, INPUTS);

    size_t undo_len = 0;
    OK(waveft_delta_weight_undo_len(delta, &undo_len));
    float *undo = floats(undo_len);
    OK(waveft_delta_weight_write(delta, &update_view));
    OK(waveft_delta_weight_add_recording(delta, &view, undo, undo_len));
    size_t changed = 0;
    for (size_t i = 0; i < entries; i++) {
        CHECK(weight[i] == before[i] + update[i]);
        changed += weight[i] != before[i];
    }
    CHECK(changed > COUNT);
    OK(waveft_delta_weight_undo(delta, &view, undo, undo_len));
    for (size_t i = 0; i < entries; i++)
        CHECK(weight[i] == before[i]);

    OK(waveft_delta_weight_add(delta, &view));
    OK(waveft_delta_weight_subtract(delta, &view));
    CHECK(largest_difference(weight, before, entries) < 1e-5f);
}

/* Products with tokens that lie apart in memory, against those with the update itself. */
static void multiply(const waveft_delta_weight *delta)
{
    const size_t entries = (size_t)OUTPUTS * INPUTS, gap = 5;
    float *update = floats(entries);
    waveft_matrix_mut update_view = matrix_mut(update, OUTPUTS, INPUTS);
    OK(waveft_delta_weight_write(delta, &update_view));

    float *x = floats(TOKENS * (INPUTS + gap)), *y = floats(TOKENS * OUTPUTS), *token = floats(OUTPUTS);
    fill(x, TOKENS * (INPUTS + gap), 2);
    waveft_matrix x_view = {x, TOKENS * (INPUTS + gap), TOKENS, INPUTS, INPUTS + gap, 1};
    waveft_matrix_mut y_view = matrix_mut(y, TOKENS, OUTPUTS);
    size_t len = 0;
    OK(waveft_delta_weight_apply_scratch_len(delta, &len));
    float *scratch = floats(len);
    OK(waveft_delta_weight_apply(delta, &x_view, &y_view, scratch, len));
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t i = 0; i < OUTPUTS; i++) {
            double expected = product(&update[i * INPUTS], &x[t * (INPUTS + gap)], INPUTS);
            CHECK(near(y[t * OUTPUTS + i], expected, 1e-3));
        }
    OK(waveft_delta_weight_apply_token(delta, x, INPUTS, token, OUTPUTS));
    CHECK(largest_difference(token, y, OUTPUTS) < 1e-3f);

    /* <dy, x ΔW^T> = <dy ΔW, x> */
    float *dy = floats(TOKENS * OUTPUTS), *dx = floats(TOKENS * INPUTS);
    fill(dy, TOKENS * OUTPUTS, 3);
    waveft_matrix dy_view = matrix(dy, TOKENS, OUTPUTS);
    waveft_matrix_mut dx_view = matrix_mut(dx, TOKENS, INPUTS);
    OK(waveft_delta_weight_apply_transposed(delta, &dy_view, &dx_view, scratch, len));
    double there = product(dy, y, TOKENS * OUTPUTS), back = 0.0;
    for (size_t t = 0; t < TOKENS; t++)
        back += product(&dx[t * INPUTS], &x[t * (INPUTS + gap)], INPUTS);
    CHECK(near(there, back, 1e-2));
}

/* Trained towards another adapter's outputs: half the mean square of the difference falls to a tenth and below. */
static void train(const waveft_delta_weight *target)
{
    float *coefficients = floats(COUNT), *gradient = floats(COUNT);
    float *first_moment = floats(COUNT), *second_moment = floats(COUNT);
    waveft_delta_weight trained = *target;
    trained.coefficients = coefficients;

    float *x = floats(TOKENS * INPUTS), *dx = floats(TOKENS * INPUTS);
    float *y = floats(TOKENS * OUTPUTS), *dy = floats(TOKENS * OUTPUTS), *wanted = floats(TOKENS * OUTPUTS);
    fill(x, TOKENS * INPUTS, 4);
    waveft_matrix x_view = matrix(x, TOKENS, INPUTS), dy_view = matrix(dy, TOKENS, OUTPUTS);
    waveft_matrix_mut y_view = matrix_mut(y, TOKENS, OUTPUTS), dx_view = matrix_mut(dx, TOKENS, INPUTS);
    waveft_matrix_mut wanted_view = matrix_mut(wanted, TOKENS, OUTPUTS);
    size_t len = 0;
    OK(waveft_delta_weight_backward_scratch_len(&trained, &len));
    float *scratch = floats(len);
    OK(waveft_delta_weight_apply(target, &x_view, &wanted_view, scratch, len));

    const waveft_adam_w adam_w = {0.05, 0.0, 0.9, 0.999, 1e-8};
    double first_loss = 0.0, loss = 0.0;
    for (uint64_t step = 1; step <= STEPS; step++) {
        for (size_t i = 0; i < TOKENS * OUTPUTS; i++)
            y[i] = 0.0f;
        for (size_t k = 0; k < COUNT; k++)
            gradient[k] = 0.0f;
        OK(waveft_delta_weight_apply(&trained, &x_view, &y_view, scratch, len));
        for (size_t i = 0; i < TOKENS * OUTPUTS; i++)
            dy[i] = (y[i] - wanted[i]) / TOKENS;
        loss = 0.5 * TOKENS * product(dy, dy, TOKENS * OUTPUTS);
        if (step == 1)
            first_loss = loss;
        OK(waveft_delta_weight_backward(&trained, &x_view, &dy_view, &dx_view, gradient, COUNT, scratch, len));
        double squares = 0.0, factor = 0.0;
        OK(waveft_sum_of_squares(gradient, COUNT, &squares));
        OK(waveft_clip_factor(1e6, squares, &factor));
        OK(waveft_scale(gradient, COUNT, factor));
        OK(waveft_adam_w_step(&adam_w, step, coefficients, gradient, first_moment, second_moment, COUNT));
    }
    CHECK(first_loss > 0.0 && loss < 0.1 * first_loss);

    /* Without a gradient by the input. */
    float *alone = floats(COUNT);
    for (size_t k = 0; k < COUNT; k++)
        gradient[k] = 0.0f;
    OK(waveft_delta_weight_backward(&trained, &x_view, &dy_view, NULL, alone, COUNT, scratch, len));
    OK(waveft_delta_weight_backward(&trained, &x_view, &dy_view, &dx_view, gradient, COUNT, scratch, len));
    CHECK(largest_difference(alone, gradient, COUNT) < 1e-3f);
}

/* A line there and back in every mode, and the adjoints of both ways. */
static void transform_line(void)
{
    for (uint32_t mode = WAVEFT_MODE_ZERO; mode <= WAVEFT_MODE_ANTIREFLECT; mode++) {
        const waveft_dwt dwt = {&WAVEFT_DB4, mode, SAMPLES};
        waveft_dwt_lengths lengths = {0, 0, 0};
        OK(waveft_dwt_measure(&dwt, &lengths));
        CHECK(lengths.reconstructed == SAMPLES + 1);
        float *signal = floats(SAMPLES), *back = floats(lengths.reconstructed), *scratch = floats(lengths.scratch);
        float *low = floats(lengths.band), *high = floats(lengths.band);
        fill(signal, SAMPLES, 5 + mode);
        OK(waveft_dwt_forward(&dwt, signal, SAMPLES, low, high, lengths.band, scratch, lengths.scratch));
        OK(waveft_dwt_inverse(&dwt, low, high, lengths.band, back, lengths.reconstructed, scratch, lengths.scratch));
        CHECK(largest_difference(signal, back, SAMPLES) < 1e-5f);

        /* <A x, A x> = <x, A^T A x>, and <S b, S b> = <b, S^T S b> */
        float *adjoint = floats(SAMPLES), *low_adjoint = floats(lengths.band), *high_adjoint = floats(lengths.band);
        OK(waveft_dwt_forward_adjoint(&dwt, low, high, lengths.band, adjoint, SAMPLES, scratch, lengths.scratch));
        double bands = product(low, low, lengths.band) + product(high, high, lengths.band);
        CHECK(near(bands, product(signal, adjoint, SAMPLES), 1e-3));
        OK(waveft_dwt_inverse_adjoint(&dwt, back, lengths.reconstructed, low_adjoint, high_adjoint, lengths.band, scratch,
                                      lengths.scratch));
        double samples = product(back, back, lengths.reconstructed);
        bands = product(low, low_adjoint, lengths.band) + product(high, high_adjoint, lengths.band);
        CHECK(near(samples, bands, 1e-3));
    }
}

/* An image there and back over two levels, within a larger one, and the adjoints of both ways. */
static void transform_image(void)
{
    const waveft_wavedec2 plan = {&WAVEFT_DB2, WAVEFT_MODE_SYMMETRIC, ROWS, COLUMNS, 2};
    waveft_wavedec2_lengths lengths = {0, 0};
    OK(waveft_wavedec2_measure(&plan, &lengths));
    waveft_band band = {0, 0, 0};
    OK(waveft_wavedec2_band(&plan, 1, true, true, &band));
    CHECK(band.start + band.rows * band.columns == lengths.coefficients);

    const size_t stride = COLUMNS + 3, len = ROWS * stride;
    float *image = floats(len), *back = floats(len);
    float *coefficients = floats(lengths.coefficients), *scratch = floats(lengths.scratch);
    fill(image, len, 6);
    fill(back, len, 6);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            back[i * stride + j] = 0.0f;
    waveft_matrix image_view = {image, len, ROWS, COLUMNS, stride, 1};
    waveft_matrix_mut back_view = {back, len, ROWS, COLUMNS, stride, 1};
    OK(waveft_wavedec2_forward(&plan, &image_view, coefficients, lengths.coefficients, scratch, lengths.scratch));
    OK(waveft_wavedec2_inverse(&plan, coefficients, lengths.coefficients, &back_view, scratch, lengths.scratch));
    CHECK(largest_difference(image, back, len) < 1e-5f);

    float *adjoint = floats(ROWS * COLUMNS), *coefficients_adjoint = floats(lengths.coefficients);
    waveft_matrix_mut adjoint_view = matrix_mut(adjoint, ROWS, COLUMNS);
    OK(waveft_wavedec2_forward_adjoint(&plan, coefficients, lengths.coefficients, &adjoint_view, scratch, lengths.scratch));
    double bands = product(coefficients, coefficients, lengths.coefficients), samples = 0.0;
    for (size_t i = 0; i < ROWS; i++)
        samples += product(&image[i * stride], &adjoint[i * COLUMNS], COLUMNS);
    CHECK(near(bands, samples, 1e-2));
    OK(waveft_wavedec2_inverse_adjoint(&plan, &image_view, coefficients_adjoint, lengths.coefficients, scratch,
                                       lengths.scratch));
    samples = 0.0;
    for (size_t i = 0; i < ROWS; i++)
        samples += product(&image[i * stride], &image[i * stride], COLUMNS);
    CHECK(near(samples, product(coefficients, coefficients_adjoint, lengths.coefficients), 1e-2));
}

/* A bank of one's own: Haar's averages and differences. */
static void own_bank(void)
{
    static const float half[2] = {0.5f, 0.5f}, half_difference[2] = {-0.5f, 0.5f};
    static const float one[2] = {1.0f, 1.0f}, difference[2] = {1.0f, -1.0f};
    const waveft_filter_bank bank = {half, half_difference, one, difference, 2};
    OK(waveft_filter_bank_check(&bank));
    const waveft_filter_bank wrong = {half, half_difference, one, one, 2};
    CHECK(waveft_filter_bank_check(&wrong) == WAVEFT_NOT_RECONSTRUCTING);
}

/* What is wrong is refused, and outputs stay as they are. */
static void be_refused(const waveft_delta_weight *delta)
{
    const size_t entries = (size_t)OUTPUTS * INPUTS;
    float *weight = floats(entries);
    waveft_matrix_mut view = matrix_mut(weight, OUTPUTS, INPUTS);
    size_t len = 77;
    CHECK(waveft_delta_weight_undo_len(NULL, &len) == WAVEFT_NULL_POINTER);
    CHECK(waveft_locations_scratch_len(4, 4, 17, &len) == WAVEFT_LOCATION_COUNT);
    CHECK(waveft_locations_scratch_len(SIZE_MAX, SIZE_MAX, 1, &len) == WAVEFT_AXIS_TOO_LONG);
    CHECK(waveft_scale(weight, SIZE_MAX / 2, 1.0) == WAVEFT_SIZE_OVERFLOW);
    CHECK(len == 77);

    waveft_delta_weight wrong = *delta;
    wrong.count = COUNT - 1;
    CHECK(waveft_delta_weight_add(&wrong, &view) == WAVEFT_LENGTH);
    wrong = *delta;
    wrong.bank = &WAVEFT_DB2;
    CHECK(waveft_delta_weight_add(&wrong, &view) == WAVEFT_TAP_COUNT);
    waveft_atoms never_sorted = {{0}};
    wrong = *delta;
    wrong.atoms = &never_sorted;
    CHECK(waveft_delta_weight_add(&wrong, &view) == WAVEFT_NOT_SORTED);
    waveft_matrix_mut narrow = matrix_mut(weight, OUTPUTS, INPUTS - 1);
    CHECK(waveft_delta_weight_add(delta, &narrow) == WAVEFT_SHAPE);
    waveft_matrix_mut short_view = view;
    short_view.len--;
    CHECK(waveft_delta_weight_add(delta, &short_view) == WAVEFT_LENGTH);
    CHECK(waveft_delta_weight_apply_token(delta, weight, INPUTS, weight + 1, OUTPUTS) == WAVEFT_OVERLAP);
    const waveft_dwt dwt = {&WAVEFT_DB4, 9, SAMPLES};
    waveft_dwt_lengths lengths = {0, 0, 0};
    CHECK(waveft_dwt_measure(&dwt, &lengths) == WAVEFT_UNKNOWN_MODE);
    for (size_t i = 0; i < entries; i++)
        CHECK(weight[i] == 0.0f);
    CHECK(lengths.band == 0);
    CHECK(waveft_status_message(WAVEFT_SHAPE)[0] == 'e' && waveft_status_message(12345)[0] == 'n');
}

int whole_way(void)
{
    waveft_atoms atoms;
    float *drawn = floats(COUNT), *coefficients = floats(COUNT);
    fill(drawn, COUNT, 7);
    draw();
    const waveft_delta_weight delta = adapter(&atoms, coefficients, drawn);
    add_and_undo(&delta);
    multiply(&delta);
    train(&delta);
    transform_line();
    transform_image();
    own_bank();
    be_refused(&delta);
    return failures;
}
