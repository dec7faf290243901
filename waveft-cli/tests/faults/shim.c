/* Loaded before the C library: fails, cuts short or ends a process at one of its changes to files.
 *
 * WAVEFT_FAULT is what happens, WAVEFT_FAULT_AT the number of the change, from 1, at which it does:
 *   kill   the process is killed before the change
 *   tear   it is killed after the change, or after half of it where that is a write
 *   stop   it is stopped before the change
 *   eio    the change fails
 *   full   from then on all writes fail, as on a full disk
 *   short  from then on all writes write but a third of what they are given
 * Changes are noted in the file WAVEFT_FAULT_LOG, one a line: what is done, and to which path.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long changes;
static const char *fault = "";
static long at;
static int log_file = -1;

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("WAVEFT_FAULT_AT"), *path = getenv("WAVEFT_FAULT_LOG");
    if (getenv("WAVEFT_FAULT")) fault = getenv("WAVEFT_FAULT");
    if (place) at = atol(place);
    if (path) log_file = REAL(open64)(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
}

static int is(const char *kind) { return strcmp(fault, kind) == 0; }

static void end(int by) { kill(getpid(), by); }

/* Notes a change, and does what happens before it. */
static long note(const char *what, const char *path) {
    long change = ++changes;
    if (log_file >= 0) dprintf(log_file, "%s %s\n", what, path);
    if (change == at && is("kill")) end(SIGKILL);
    if (change == at && is("stop")) end(SIGSTOP);
    return change;
}

static long note_open(const char *what, int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return note(what, path);
}

/* Whether a change fails, and why. */
static int fails(long change, int is_write) {
    if (is("eio") && change == at) return errno = EIO;
    if (is("full") && change >= at && is_write) return errno = ENOSPC;
    return 0;
}

/* A write of `count` bytes to `file`; `CALL` writes `length`. */
#define WRITE(WHAT, FILE, CALL)                                             \
    size_t length = count;                                                  \
    if ((FILE) > 2) {                                                       \
        long change = note_open(WHAT, FILE);                                \
        if (fails(change, 1)) return -1;                                    \
        if (is("short") && change >= at && count > 1) length = count / 3 + 1; \
        if (is("tear") && change == at) {                                   \
            length = count / 2;                                             \
            (void)!(CALL);                                                  \
            end(SIGKILL);                                                   \
        }                                                                   \
    }                                                                       \
    return CALL

/* Any other change. */
#define CHANGE(NOTE, CALL)                              \
    long change = NOTE;                                 \
    if (fails(change, 0)) return -1;                    \
    int result = CALL;                                  \
    if (is("tear") && change == at) end(SIGKILL);       \
    return result

ssize_t write(int file, const void *bytes, size_t count) {
    WRITE("write", file, REAL(write)(file, bytes, length));
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    WRITE("write", file, REAL(pwrite64)(file, bytes, length, offset));
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
    WRITE("write", to, REAL(copy_file_range)(from, from_offset, to, to_offset, length, flags));
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) {
    WRITE("write", to, REAL(sendfile64)(to, from, offset, length));
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (!(flags & O_CREAT)) return REAL(open64)(path, flags);
    CHANGE(note("create", path), REAL(open64)(path, flags, mode));
}

int ftruncate64(int file, off64_t length) { CHANGE(note_open("resize", file), REAL(ftruncate64)(file, length)); }
int fsync(int file) { CHANGE(note_open("sync", file), REAL(fsync)(file)); }
int fchmod(int file, mode_t mode) { CHANGE(note_open("chmod", file), REAL(fchmod)(file, mode)); }
int chmod(const char *path, mode_t mode) { CHANGE(note("chmod", path), REAL(chmod)(path, mode)); }
int mkdir(const char *path, mode_t mode) { CHANGE(note("mkdir", path), REAL(mkdir)(path, mode)); }
int rename(const char *from, const char *to) { CHANGE(note("rename", to), REAL(rename)(from, to)); }
int unlink(const char *path) { CHANGE(note("unlink", path), REAL(unlink)(path)); }
