/* Library for LD_PRELOAD: counts file operations below a folder, and lets one of them fail or kill the process.
 *
 * See crash_points.py. Paths relative to a descriptor are resolved by /proc/self/fd.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READS = 1, WRITES = 2 };

static char root[PATH_MAX];
static size_t root_length = 0;
static long count = 0, space = 0, at = 0;
static int fault = 0; /* 0: none, -1: kill, else errno */

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Start counting below a folder; operation `number` (from 1) fails with `error`, or kills the process if it is -1.
 * With ENOSPC only operations that take space are counted. */
void crash_begin(const char *folder, long number, int error) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    count = space = 0;
    at = number;
    fault = error;
}

long crash_count(int takes_space) { return takes_space ? space : count; }

static int is_below(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int is_own_descriptor(int fd) {
    char link[64], path[PATH_MAX];
    if (!root_length || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int is_own(int folder, const char *path) {
    if (!root_length || !path) return 0;
    if (path[0] == '/' ) return is_below(path);
    if (folder != AT_FDCWD) return is_own_descriptor(folder);
    char current[PATH_MAX];
    return getcwd(current, sizeof current) && is_below(current);
}

/* Count an operation; return the error that it must fail with, or 0. */
static int fails(int takes_space) {
    long number = ++count;
    if (takes_space) ++space;
    if (fault == ENOSPC) number = takes_space ? space : 0;
    if (!at || number != at) return 0;
    if (fault == -1) kill(getpid(), SIGKILL);
    return fault;
}

#define CHECK(is_ours, takes_space, failed) \
    do { \
        int error; \
        if ((is_ours) && (error = fails(takes_space))) { errno = error; return failed; } \
    } while (0)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        CHECK(is_own(AT_FDCWD, path), (flags & O_CREAT) != 0, -1); \
        return NEXT(name)(path, flags, mode); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        CHECK(is_own(folder, path), (flags & O_CREAT) != 0, -1); \
        return NEXT(name)(folder, path, flags, mode); \
    }
#undef open
#undef open64
#undef openat
#undef openat64
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
    if (is_own_descriptor(fd)) {
        if (fault == -1 && count + 1 == at && size > 1) NEXT(write)(fd, data, size / 2); /* torn */
        CHECK(1, 1, -1);
    }
    return NEXT(write)(fd, data, size);
}

ssize_t read(int fd, void *data, size_t size) {
    CHECK(is_own_descriptor(fd), 0, -1);
    return NEXT(read)(fd, data, size);
}

int fsync(int fd) {
    CHECK(is_own_descriptor(fd), 1, -1);
    return NEXT(fsync)(fd);
}

int close(int fd) {
    int is_ours = is_own_descriptor(fd), error = is_ours ? fails(0) : 0;
    int result = NEXT(close)(fd);
    if (!error) return result;
    errno = error;
    return -1;
}

int rename(const char *from, const char *to) {
    CHECK(is_own(AT_FDCWD, to), 1, -1);
    return NEXT(rename)(from, to);
}

int renameat(int folder, const char *from, int other, const char *to) {
    CHECK(is_own(other, to), 1, -1);
    return NEXT(renameat)(folder, from, other, to);
}

int mkdir(const char *path, mode_t mode) {
    CHECK(is_own(AT_FDCWD, path), 1, -1);
    return NEXT(mkdir)(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    CHECK(is_own(folder, path), 1, -1);
    return NEXT(mkdirat)(folder, path, mode);
}

int unlink(const char *path) {
    CHECK(is_own(AT_FDCWD, path), 0, -1);
    return NEXT(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags) {
    CHECK(is_own(folder, path), 0, -1);
    return NEXT(unlinkat)(folder, path, flags);
}

int rmdir(const char *path) {
    CHECK(is_own(AT_FDCWD, path), 0, -1);
    return NEXT(rmdir)(path);
}

DIR *opendir(const char *path) {
    CHECK(is_own(AT_FDCWD, path), 0, NULL);
    return NEXT(opendir)(path);
}

DIR *fdopendir(int fd) {
    CHECK(is_own_descriptor(fd), 0, NULL);
    return NEXT(fdopendir)(fd);
}
