/* The whole way on an operating system. Every buffer is an allocation of its own, so that valgrind sees its ends. */
#include "whole_way.h"

#include "waveft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocations[1000];
static size_t allocation_count;

void *memory_for(size_t size)
{
    void *memory = allocation_count < 1000 ? malloc(size) : NULL;
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    allocations[allocation_count++] = memory;
    return memory;
}

void say(const char *line)
{
    puts(line);
}

/* Banks by name, which a small program would not link. */
static int banks_by_name(void)
{
    waveft_filter_bank bank = WAVEFT_DB2;
    if (waveft_filter_bank_named("db39", &bank) != WAVEFT_UNKNOWN_WAVELET || bank.taps != 4)
        return 1;
    if (waveft_filter_bank_named("sym8", &bank) != WAVEFT_OK || bank.taps != 16)
        return 1;
    return memcmp(bank.rec_lo, WAVEFT_SYM8.rec_lo, 16 * sizeof(float)) != 0;
}

int main(void)
{
    printf("waveft %s\n", waveft_version());
    int failures = whole_way() + banks_by_name();
    while (allocation_count > 0)
        free(allocations[--allocation_count]);
    printf("%d failed\n", failures);
    return failures != 0;
}
