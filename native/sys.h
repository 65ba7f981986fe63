/* The little that the native programs need of a C library: system calls, strings, a stack to start on.
 *
 * They run inside jails whatever is installed there, so they are static and use no libc. Two machines are known,
 * x86_64 and aarch64; Linux gives both the same struct layouts for everything used here.
 */
#ifndef VJAIL_SYS_H
#define VJAIL_SYS_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

typedef long word;

#ifdef SOURCES
/* What the program was built from (build.sh): its sources and their tests tell by it whether they belong together. */
__attribute__((used)) static const char sources[] = "vjail-sources:" SOURCES;
#endif

#if defined(__x86_64__)
static inline word syscall6(word nr, word a, word b, word c, word d, word e, word f)
{
    word result;
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    register word r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".text\n.globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#elif defined(__aarch64__)
static inline word syscall6(word nr, word a, word b, word c, word d, word e, word f)
{
    register word x8 __asm__("x8") = nr;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    register word x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".text\n.globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl start\n");
#else
#error "no system calls known for this machine"
#endif

#define sys0(nr) syscall6(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) syscall6(nr, (word)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) syscall6(nr, (word)(a), (word)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c) syscall6(nr, (word)(a), (word)(b), (word)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) syscall6(nr, (word)(a), (word)(b), (word)(c), (word)(d), 0, 0)
#define sys5(nr, a, b, c, d, e) syscall6(nr, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), 0)

/* Numbers of Linux, the same on both machines. */
enum { EPERM = 1, EINTR = 4, EAGAIN = 11, ESRCH = 3, EPIPE = 32, EPROTO = 71 };
enum { SI_KERNEL = 0x80 };
enum { SIG_HUP = 1, SIG_INT = 2, SIG_QUIT = 3, SIG_KILL = 9, SIG_USR1 = 10, SIG_USR2 = 12, SIG_PIPE = 13, SIG_TERM = 15, SIG_CHLD = 17 };
enum { SIG_CONT = 18, SIG_TSTP = 20, SIG_TTOU = 22 };
enum { SIG_BLOCK = 0, SIG_SETMASK = 2 };
enum { POLL_IN = 1, POLL_HUP = 16 };
enum { WNOHANG = 1, WUNTRACED = 2 };
enum { TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410 };
enum { AF_UNIX = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5, SOCK_CLOEXEC = 02000000, SOCK_NONBLOCK = 04000 };
enum { SOL_SOCKET = 1, SO_PASSCRED = 16, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2 };
enum { MSG_TRUNC = 0x20, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_CREAT = 0100, O_APPEND = 02000, O_CLOEXEC = 02000000, F_SETFD = 2 };
enum { CLOSE_RANGE_CLOEXEC = 4 };

struct pollfd {
    int fd;
    short events, revents;
};
struct timespec64 {
    int64_t seconds, nanoseconds;
};
struct sockaddr_un {
    uint16_t family;
    char path[108];
};
struct iovec {
    void *base;
    size_t length;
};
struct msghdr {
    void *name;
    int namelen;
    struct iovec *iov;
    size_t iovlen;
    void *control;
    size_t controllen;
    unsigned flags;
};
struct cmsghdr {
    size_t length;
    int level, type;
};
struct ucred {
    int pid;
    unsigned uid, gid;
};
struct siginfo {
    int32_t signo, error, code;
    char rest[116];
};
struct sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static inline void copy(void *to, const void *from, size_t n)
{
    char *t = to;
    const char *f = from;
    while (n--)
        *t++ = *f++;
}

/* The compiler may call these by itself. */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);

static inline size_t length(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

static inline int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static inline const char *basename_of(const char *path)
{
    const char *last = path;
    for (; *path; path++)
        if (*path == '/' && path[1])
            last = path + 1;
    return last;
}

__attribute__((noreturn)) static inline void leave(int code)
{
    for (;;)
        sys1(__NR_exit_group, code);
}

static inline void write_all(int fd, const char *data, size_t n, word *error)
{
    *error = 0;
    while (n > 0) {
        word r = sys3(__NR_write, fd, data, n);
        if (r == -EINTR)
            continue;
        if (r == -EAGAIN) {
            struct pollfd p = {fd, 4, 0};
            sys5(__NR_ppoll, &p, 1, 0, 0, 8);
            continue;
        }
        if (r < 0) {
            *error = -r;
            return;
        }
        data += r, n -= r;
    }
}

static inline void complain(const char *text)
{
    word error;
    write_all(2, text, length(text), &error);
}

static inline uint64_t bit(int signal) { return 1ull << (signal - 1); }

#endif
