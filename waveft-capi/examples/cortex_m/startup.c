/* The whole way on a Cortex-M4F without an operating system: mps2-an386, which QEMU emulates, and its debugger's calls. */
#include "../whole_way.h"

#include <stdint.h>

extern uint32_t stack_end, data_start, data_end, data_stored, bss_start, bss_end;

/* Operation and argument of a semihosting call. */
static void call_host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static _Noreturn void leave(uint32_t status)
{
    const uint32_t exited[2] = {0x20026, status}; /* ADP_Stopped_ApplicationExit */
    call_host(0x20, exited);                      /* SYS_EXIT_EXTENDED */
    for (;;)
        ;
}

void say(const char *line)
{
    call_host(0x04, line); /* SYS_WRITE0 */
    call_host(0x04, "\n");
}

void *memory_for(size_t size)
{
    static uint64_t arena[40 * 1024];
    static size_t used;
    void *memory = &arena[used];
    used += (size + 7) / 8;
    if (used > sizeof(arena) / sizeof(arena[0])) {
        say("out of memory");
        leave(2);
    }
    return memory;
}

_Noreturn void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* the floating-point unit: CPACR, coprocessors 10 and 11 */
    __asm__ volatile("dsb\n\tisb");
    for (uint32_t *to = &data_start, *from = &data_stored; to < &data_end;)
        *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;)
        *to++ = 0;
    int failures = whole_way();
    say(failures == 0 ? "all holds" : "something failed");
    leave(failures != 0);
}

static _Noreturn void fault(void)
{
    say("fault");
    leave(3);
}

struct vectors {
    uint32_t *stack;
    void (*handlers[15])(void); /* reset, NMI, hard fault, memory, bus and usage faults, … */
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    &stack_end, {reset, fault, fault, fault, fault, fault},
};
