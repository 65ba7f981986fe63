/* What vjail's daemons have in common: text put together, the time of day, the pid file, becoming a daemon.
 *
 * A daemon's set-up is done before it forks: whoever started it may rely on what it offers when the start returns.
 */
#ifndef VJAIL_DAEMON_H
#define VJAIL_DAEMON_H

#include "sys.h"

#include <asm/fcntl.h>
#include <linux/stat.h>

enum { ENOENT = 2 };
enum { HERE = -100 /* AT_FDCWD */, EMPTY_PATH = 0x1000, NO_FOLLOW = 0x100 };

void *memcpy(void *to, const void *from, size_t n)
{
    copy(to, from, n);
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* What is appended beyond `end` is lost. */
struct text {
    char *at, *end;
};

static void put_bytes(struct text *to, const char *data, size_t n)
{
    for (; n && to->at < to->end; n--)
        *to->at++ = *data++;
}

static void put(struct text *to, const char *string) { put_bytes(to, string, length(string)); }

static void put_number(struct text *to, uint64_t value, int width, char pad)
{
    char digits[24];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (; width > n; width--)
        put_bytes(to, &pad, 1);
    while (n)
        put_bytes(to, &digits[--n], 1);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* The number at `*at`, which is left behind it; -1 where there is none or it is too large for a user or a process. */
static int64_t take_number(const char **at)
{
    int64_t value = 0;
    if (!is_digit(**at))
        return -1;
    for (; is_digit(**at); ++*at)
        if (value >= 0 && (value = value * 10 + (**at - '0')) > 0xffffffffll)
            value = -1;
    return value;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* A moment in UTC. `month` and `weekday` count from 0 (January, Sunday). */
struct moment {
    int year, month, day, hour, minute, second, weekday;
};

static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int64_t seconds_now(void)
{
    struct timespec64 now = {0, 0};
    sys2(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, &now);
    return now.seconds;
}

/* The proleptic Gregorian calendar, in years that begin with March, so that a leap day is a year's last. */
static struct moment moment_of(int64_t seconds)
{
    struct moment m;
    int64_t days = seconds / 86400, rest = seconds % 86400;
    m.hour = (int)(rest / 3600), m.minute = (int)(rest / 60 % 60), m.second = (int)(rest % 60);
    m.weekday = (int)((days + 4) % 7);
    days += 719468; /* from 0000-03-01 to 1970-01-01 */
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    m.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    m.month = (int)(month < 10 ? month + 2 : month - 10);
    m.year = (int)(year + era * 400 + (m.month < 2));
    return m;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* Whether `path` names what descriptor `fd` (or, where it is negative, `known`) is. */
static int is_same_file(const char *path, int fd, const struct statx *known)
{
    struct statx there, here;
    if (fd >= 0) {
        if (sys5(__NR_statx, fd, "", EMPTY_PATH, STATX_INO, &here) < 0)
            return 0;
        known = &here;
    }
    return sys5(__NR_statx, HERE, path, NO_FOLLOW, STATX_INO, &there) >= 0 && there.stx_ino == known->stx_ino &&
           there.stx_dev_major == known->stx_dev_major && there.stx_dev_minor == known->stx_dev_minor;
}

/* --- being a daemon ----------------------------------------------------------------------------------------------- */

/* The pid file, opened; ends the program where another process of this jail has it locked. Jails may share a /var,
 * and of what runs in another one the kernel gives no number here. -1 where there can be none: FreeBSD's daemons go on without. */
static int open_pid_file(const char *name, const char *path)
{
    struct flock lock = {.l_type = F_WRLCK};
    word fd = sys4(__NR_openat, HERE, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (sys3(__NR_fcntl, fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0) {
        char message[128];
        struct text line = {message, message + sizeof message - 1};
        put(&line, name), put(&line, ": "), put(&line, name), put(&line, " already running, pid: ");
        put_number(&line, (uint64_t)lock.l_pid, 0, ' '), put(&line, "\n");
        *line.at = 0;
        complain(message);
        leave(1);
    }
    return (int)fd;
}

/* Go on in a child, in a session of its own, without streams, in /. It holds the pid file's lock, which its parent, who
 * writes the file, waits for. */
static void become_daemon(int pid_file)
{
    struct flock lock = {.l_type = F_WRLCK};
    int ready[2];
    if (sys2(__NR_pipe2, ready, O_CLOEXEC) < 0)
        leave(1);
    word pid = sys5(__NR_clone, SIG_CHLD, 0, 0, 0, 0), error;
    if (pid < 0)
        leave(1);
    if (pid > 0) {
        char number[24];
        sys1(__NR_close, ready[1]);
        sys3(__NR_read, ready[0], number, 1);
        struct text line = {number, number + sizeof number};
        put_number(&line, (uint64_t)pid, 0, ' '), put(&line, "\n");
        if (pid_file >= 0) {
            sys2(__NR_ftruncate, pid_file, 0);
            write_all(pid_file, number, (size_t)(line.at - number), &error);
        }
        leave(0);
    }
    if (pid_file >= 0)
        sys3(__NR_fcntl, pid_file, F_SETLK, &lock);
    sys1(__NR_close, ready[0]), sys1(__NR_close, ready[1]);
    sys0(__NR_setsid);
    sys1(__NR_chdir, "/");
    word null = sys4(__NR_openat, HERE, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (null < 0) /* something has to keep the three numbers from being used again */
        null = sys4(__NR_openat, HERE, "/", O_RDONLY | O_CLOEXEC, 0);
    for (int fd = 0; fd < 3; fd++)
        if (fd != null)
            sys3(__NR_dup3, null, fd, 0);
}

static void remove_pid_file(int pid_file, const char *path)
{
    if (pid_file >= 0 && is_same_file(path, pid_file, 0))
        sys3(__NR_unlinkat, HERE, path, 0);
}

static int watch_signals(uint64_t wanted)
{
    sys4(__NR_rt_sigprocmask, SIG_BLOCK, &wanted, 0, 8);
    return (int)sys4(__NR_signalfd4, -1, &wanted, 8, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

#endif
