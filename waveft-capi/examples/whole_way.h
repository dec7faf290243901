/* What the hosted program and the one for the Cortex-M4F have in common. */
#ifndef WHOLE_WAY_H
#define WHOLE_WAY_H

#include <stddef.h>

/* Every check in turn; how many failed. */
int whole_way(void);

/* Of the program that calls whole_way: memory for `size` bytes that stays until the end, and a line of text for the user. */
void *memory_for(size_t size);
void say(const char *line);

#endif
