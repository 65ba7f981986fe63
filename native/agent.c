/* vjail's native half: the hands of a server that is no process of the jail's.
 *
 *   anchor            PID 1 of a lab: holds its namespaces, runs programs (see run) for the server that connects to it
 *   session FD        executor for a conversation that another program began on descriptor FD
 *   any other name    a command of FreeBSD's (ifconfig, jail, …): asks the lab's server, and is its executor
 *
 * A conversation is a SOCK_SEQPACKET connection; a message is one letter and what follows it. From here:
 *   C cwd · A argv… · V environment… (strings, each with its NUL) · G go · I input ·
 *   S u32 signal · N u32 id, u32 step, u64 value, i32 pid · F u32 id, u32 step, u32 errno · P u32 id [pidfd] · X u32 id, i32 status
 * From the server:
 *   O u8 fd, bytes · R (wants input) · E u32 code, u32 signal · S u32 id, u32 flags, program [descriptors] · W u32 id · K u32 id, u32 signal
 *
 * Nothing here decides anything: what is run, in which namespaces, with which rights, is composed by the server, one
 * system call after the other. Only a conversation that the *kernel* says comes from the lab's host is ever given
 * descriptors; a program sent into a jail can do there what that process could do by itself.
 */
#include "sys.h"

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

enum { MESSAGE = 1 << 18, DESCRIPTORS = 24, CHILDREN = 2048, CHUNK = 32 << 10 };

static char message[MESSAGE] __attribute__((aligned(16)));

/* --- messages ---------------------------------------------------------------------------------------------------- */

static word send_message(int socket, const void *data, size_t n, const void *more, size_t m, int fd)
{
    struct iovec parts[2] = {{(void *)data, n}, {(void *)more, m}};
    struct {
        struct cmsghdr header;
        int fd, pad;
    } control = {{sizeof(struct cmsghdr) + sizeof(int), SOL_SOCKET, SCM_RIGHTS}, fd, 0};
    struct msghdr header = {0, 0, parts, more ? 2 : 1, 0, 0, 0};
    if (fd >= 0)
        header.control = &control, header.controllen = sizeof control;
    word r;
    while ((r = sys3(__NR_sendmsg, socket, &header, MSG_NOSIGNAL)) == -EINTR || r == -EAGAIN) {
        struct pollfd p = {socket, 4, 0};
        if (r == -EAGAIN)
            sys5(__NR_ppoll, &p, 1, 0, 0, 8);
    }
    return r;
}

static word tell(int socket, char letter, const void *data, size_t n, int fd)
{
    return send_message(socket, &letter, 1, data, n, fd);
}

/* One message into `buffer`; descriptors that came with it into `fds`, the sender's process number into `pid`. */
static word receive(int socket, void *buffer, size_t room, int *fds, int *count, int *pid)
{
    struct iovec part = {buffer, room};
    char control[256] __attribute__((aligned(8)));
    struct msghdr header = {0, 0, &part, 1, control, sizeof control, 0};
    *count = 0;
    word n;
    while ((n = sys3(__NR_recvmsg, socket, &header, MSG_CMSG_CLOEXEC)) == -EINTR)
        ;
    if (n < 0)
        return n;
    for (size_t at = 0; at + sizeof(struct cmsghdr) <= header.controllen;) {
        struct cmsghdr *c = (struct cmsghdr *)(control + at);
        if (c->length < sizeof *c)
            break;
        size_t payload = c->length - sizeof *c;
        if (c->level == SOL_SOCKET && c->type == SCM_RIGHTS)
            for (size_t i = 0; i < payload / sizeof(int) && *count < DESCRIPTORS; i++)
                fds[(*count)++] = ((int *)(c + 1))[i];
        if (c->level == SOL_SOCKET && c->type == SCM_CREDENTIALS && pid)
            *pid = ((struct ucred *)(c + 1))->pid;
        at += (c->length + 7) & ~(size_t)7;
    }
    return header.flags & MSG_TRUNC ? -EPROTO : n;
}

/* --- programs: system calls composed elsewhere ---------------------------------------------------------------------- */

enum op { CALL, FORK, EXIT, REPORT, WAIT, INIT, TERMINAL };
enum kind { IMMEDIATE, DATA, REGISTER, DESCRIPTOR };
enum { MAY_FAIL = 1 };

struct step {
    uint8_t op, flags, to, unused;
    uint32_t nr;
    uint8_t kind[6], pad[2];
    uint64_t argument[6];
};

struct program {
    uint32_t steps, relocations, size, unused;
    struct step step[];
};

struct record {
    uint32_t type, step;
    uint64_t value;
};
enum { REPORTED, FAILED };

/* PID 1 of a process namespace: reaps, and where it may end, ends with the last other process; but not between a
 * SIGUSR2 and a SIGUSR1, while the server puts another one in. */
static void serve_as_init(int ends_when_empty)
{
    uint64_t wanted = bit(SIG_CHLD) | bit(SIG_USR1) | bit(SIG_USR2);
    int held = 0;
    sys4(__NR_rt_sigprocmask, SIG_SETMASK, &wanted, 0, 8);
    sys3(__NR_close_range, 0, ~0u, 0);
    for (;;) {
        struct siginfo info;
        word signal = sys4(__NR_rt_sigtimedwait, &wanted, &info, 0, 8);
        if (signal == SIG_USR1 || signal == SIG_USR2)
            held = signal == SIG_USR2;
        while (sys4(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
            ;
        if (ends_when_empty && !held && sys2(__NR_kill, -1, 0) == -ESRCH)
            leave(0);
    }
}

/* The process group that has the terminal on standard input; below 1 where none has, or none with a number here. */
static int terminal_group(void)
{
    int group = -1;
    return sys3(__NR_ioctl, 0, TIOCGPGRP, &group) < 0 ? -1 : group;
}

static void give_terminal(int group)
{
    uint64_t before, wanted = bit(SIG_TTOU);
    sys4(__NR_rt_sigprocmask, SIG_BLOCK, &wanted, &before, 8);
    sys3(__NR_ioctl, 0, TIOCSPGRP, &group);
    sys4(__NR_rt_sigprocmask, SIG_SETMASK, &before, 0, 8);
}

/* Whether the agent's process group had the terminal when the program now run was begun. */
static int in_foreground;

/* A shell wants a process group that has a number where it is: the agent's has none in another process namespace. */
static void take_terminal(void)
{
    if (!in_foreground)
        return;
    sys2(__NR_setpgid, 0, 0);
    give_terminal((int)sys0(__NR_getpid));
}

static void run(char *text, size_t room, int status, const int *fds, int count)
{
    struct program *program = (struct program *)text;
    uint32_t *relocation = (uint32_t *)(program->step + program->steps);
    char *data = (char *)(relocation + program->relocations);
    word registers[16] = {0};
    if (sizeof *program + program->steps * sizeof(struct step) + program->relocations * 4ul + program->size > room)
        leave(125);
    data += (size_t)-(uintptr_t)data & 7; /* `message` is aligned, and the sender padded likewise */
    for (uint32_t i = 0; i < program->relocations; i++) {
        uint64_t value;
        copy(&value, data + relocation[i], 8);
        value += (uintptr_t)data;
        copy(data + relocation[i], &value, 8);
    }
    for (uint32_t i = 0; i < program->steps; i++) {
        struct step *step = &program->step[i];
        word a[6], result = 0;
        for (int n = 0; n < 6; n++)
            switch (step->kind[n]) {
            case DATA: a[n] = (word)(data + step->argument[n]); break;
            case REGISTER: a[n] = registers[step->argument[n] & 15]; break;
            case DESCRIPTOR: a[n] = (word)step->argument[n] < count ? fds[step->argument[n]] : -1; break;
            default: a[n] = (word)step->argument[n];
            }
        switch (step->op) {
        case CALL: result = syscall6(step->nr, a[0], a[1], a[2], a[3], a[4], a[5]); break;
        case FORK:
            result = sys5(__NR_clone, a[0] | SIG_CHLD, 0, 0, 0, 0);
            if (result > 0)
                i = (uint32_t)a[1] - 1;
            break;
        case EXIT: leave((int)a[0]);
        case REPORT: {
            struct record record = {REPORTED, i, (uint64_t)a[0]};
            result = send_message(status, &record, sizeof record, 0, 0, -1);
            break;
        }
        case WAIT: {
            char byte;
            result = sys3(__NR_read, status, &byte, 1);
            if (result == 0)
                leave(125);
            break;
        }
        case INIT: serve_as_init((int)a[0]); break;
        case TERMINAL: take_terminal(); break;
        }
        if (result < 0 && !(step->flags & MAY_FAIL)) {
            struct record record = {FAILED, i, (uint64_t)-result};
            send_message(status, &record, sizeof record, 0, 0, -1);
            leave(127);
        }
        registers[step->to & 15] = result;
    }
    leave(0);
}

/* --- children ----------------------------------------------------------------------------------------------------- */

/* INTERACTIVE: the terminal's signals are its own, and what FORKS besides takes the terminal (TERMINAL). DETACHED: nobody
 * asks how it ends. FORKS: the process begun is only a step on the way; the one that matters reports itself. */
enum { INTERACTIVE = 1, DETACHED = 2, FORKS = 4 };

struct child {
    uint32_t id;
    int used;
    int pid;    /* of the process that matters, 0 while it has not reported itself */
    int status; /* its end of the status channel, -1 once closed */
    uint32_t flags;
    int ended, code;
    int terminal; /* it has a process group of its own, and the terminal */
};

static struct child children[CHILDREN];
static int last_code = -1; /* how the last INTERACTIVE one ended */
static struct pollfd polled[CHILDREN + 3];
static int live;

static struct child *child_of(uint32_t id)
{
    for (int i = 0; i < live; i++)
        if (children[i].used && children[i].id == id)
            return &children[i];
    return 0;
}

static void refuse(int connection, uint32_t id, word error)
{
    uint32_t body[3] = {id, 0, (uint32_t)-error};
    tell(connection, 'F', body, sizeof body, -1);
}

static void begin(int connection, char *text, size_t size, int *fds, int count)
{
    uint32_t id, flags;
    copy(&id, text, 4), copy(&flags, text + 4, 4);
    int slot = 0, pair[2], on = 1;
    while (slot < live && children[slot].used)
        slot++;
    word r = slot < CHILDREN ? sys4(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) : -EAGAIN;
    if (r < 0)
        return refuse(connection, id, r);
    sys5(__NR_setsockopt, pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    int group = flags & INTERACTIVE ? terminal_group() : -1;
    in_foreground = group > 0 && group == (int)sys1(__NR_getpgid, 0);
    word pid = sys5(__NR_clone, SIG_CHLD, 0, 0, 0, 0);
    if (pid == 0) {
        uint64_t none = 0;
        struct sigaction usual = {0};
        sys1(__NR_close, pair[0]);
        for (int s = 1; s < 32; s++)
            if (s != SIG_KILL && s != 19)
                sys4(__NR_rt_sigaction, s, &usual, 0, 8);
        sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
        copy(message, text + 8, size - 8);
        run(message, size - 8, pair[1], fds, count);
    }
    sys1(__NR_close, pair[1]);
    if (pid < 0) {
        sys1(__NR_close, pair[0]);
        return refuse(connection, id, pid);
    }
    if (slot == live)
        live++;
    int terminal = in_foreground && flags & FORKS;
    children[slot] = (struct child){id, 1, flags & FORKS ? 0 : (int)pid, pair[0], flags, 0, 0, terminal};
}

/* The terminal comes back from a group that has ended, or that is this child's. */
static void take_terminal_back(const struct child *child)
{
    int group = terminal_group(), own = (int)sys1(__NR_getpgid, 0);
    if (child->terminal && group > 0 && group != own && (group == child->pid || sys2(__NR_kill, -group, 0) == -ESRCH))
        give_terminal(own);
}

/* A child with the terminal was stopped: so is this group, until whoever started it lets it go on. */
static void stop_like(const struct child *child)
{
    int group = terminal_group(), own = (int)sys1(__NR_getpgid, 0);
    if (!child->terminal)
        return;
    if (group == child->pid)
        give_terminal(own);
    if (group != own)
        sys2(__NR_kill, 0, SIG_TSTP);
    if (terminal_group() == own)
        give_terminal(child->pid);
    sys2(__NR_kill, -child->pid, SIG_CONT);
}

/* Before its end is told: whoever hears of that finds the terminal back. */
static void release(struct child *child)
{
    take_terminal_back(child);
    child->used = 0;
    while (live > 0 && !children[live - 1].used)
        live--;
}

static void finish(int connection, struct child *child)
{
    if (child->status >= 0 || !child->ended)
        return;
    int32_t body[2] = {(int32_t)child->id, child->code};
    if (child->flags & INTERACTIVE)
        last_code = child->code;
    release(child);
    if (connection >= 0)
        tell(connection, 'X', body, sizeof body, -1);
}

static void close_status(struct child *child)
{
    sys1(__NR_close, child->status);
    child->status = -1;
}

/* What a child says of itself: reports and failures are passed on; silence at the end means that it has become its
 * program. The kernel vouches for the number of the process that speaks. */
static void hear(int connection, struct child *child)
{
    struct record record;
    int fds[DESCRIPTORS], count, pid = 0;
    word n = receive(child->status, &record, sizeof record, fds, &count, &pid);
    if (n == (word)sizeof record && record.type == REPORTED) {
        struct {
            uint32_t id, step;
            uint64_t value;
            int32_t pid;
        } __attribute__((packed)) body = {child->id, record.step, record.value, pid};
        child->pid = pid;
        if (connection >= 0)
            tell(connection, 'N', &body, sizeof body, -1);
        return;
    }
    close_status(child);
    if (n != (word)sizeof record && child->pid) {
        word fd = child->ended ? -1 : sys2(__NR_pidfd_open, child->pid, 0);
        if (connection >= 0)
            tell(connection, 'P', &child->id, sizeof child->id, (int)fd);
        if (fd >= 0)
            sys1(__NR_close, fd);
        if (child->flags & DETACHED)
            release(child);
        else
            finish(connection, child);
        return;
    }
    uint32_t body[3] = {child->id, 0, ESRCH};
    if (n == (word)sizeof record)
        body[1] = record.step, body[2] = (uint32_t)record.value;
    release(child);
    if (connection >= 0)
        tell(connection, 'F', body, sizeof body, -1);
}

/* Whether a child has said something that was not heard yet, or says nothing more. */
static int speaks(const struct child *child)
{
    struct pollfd p = {child->status, POLL_IN, 0};
    struct timespec64 now = {0, 0};
    return child->used && child->status >= 0 && sys5(__NR_ppoll, &p, 1, &now, 0, 8) > 0;
}

static void reap(int connection)
{
    int status;
    word pid;
    while ((pid = sys4(__NR_wait4, -1, &status, WNOHANG | WUNTRACED, 0)) > 0) {
        /* It may have reported itself only since this turn began to listen. */
        for (int i = 0; i < live; i++)
            while (!children[i].pid && speaks(&children[i]))
                hear(connection, &children[i]);
        for (int i = 0; i < live; i++) {
            struct child *child = &children[i];
            if (!child->used || child->pid != pid)
                continue;
            if ((status & 0xff) == 0x7f) {
                stop_like(child);
                break;
            }
            child->ended = 1, child->code = status;
            /* What it said before it ended is still in its channel. */
            while (speaks(child))
                hear(connection, child);
            if (child->used)
                finish(connection, child);
            break;
        }
    }
}

static int interactive(void)
{
    for (int i = 0; i < live; i++)
        if (children[i].used && children[i].flags & INTERACTIVE)
            return 1;
    return 0;
}

/* --- conversations ------------------------------------------------------------------------------------------------- */

static void obey(int connection, size_t n, int *fds, int count)
{
    uint32_t numbers[2] = {0, 0};
    copy(numbers, message + 1, n - 1 < 8 ? n - 1 : 8);
    struct child *child = child_of(numbers[0]);
    word error = 0;
    switch (message[0]) {
    case 'O':
        if (n >= 2)
            write_all(message[1], message + 2, n - 2, &error);
        if (error == EPIPE) {
            uint32_t signal = SIG_PIPE;
            tell(connection, 'S', &signal, sizeof signal, -1);
        }
        break;
    case 'R': {
        word got = sys3(__NR_read, 0, message + 1, CHUNK);
        tell(connection, 'I', message + 1, got > 0 ? (size_t)got : 0, -1);
        break;
    }
    case 'S':
        if (n > 9)
            begin(connection, message + 1, n - 1, fds, count);
        break;
    case 'W':
        if (child && child->status >= 0)
            send_message(child->status, "", 1, 0, 0, -1);
        break;
    case 'K':
        if (child && child->pid && !child->ended)
            sys2(__NR_kill, child->pid, numbers[1]);
        break;
    case 'E':
        if (numbers[1]) {
            struct sigaction usual = {0};
            uint64_t none = 0;
            sys4(__NR_rt_sigaction, numbers[1], &usual, 0, 8);
            sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
            sys2(__NR_kill, sys0(__NR_getpid), numbers[1]);
        }
        leave((int)numbers[0]);
    }
    for (int i = 0; i < count; i++)
        sys1(__NR_close, fds[i]);
}

/* One turn: signals, the server's messages, what children say. Returns 0 when the server has gone. */
static int turn(int connection, int listening, int signals, int *accepted)
{
    int n = 0, indexes = 0;
    polled[n++] = (struct pollfd){signals, POLL_IN, 0};
    polled[n++] = (struct pollfd){connection, POLL_IN, 0};
    polled[n++] = (struct pollfd){listening, POLL_IN, 0};
    for (; indexes < live; indexes++)
        polled[n++] = (struct pollfd){children[indexes].used ? children[indexes].status : -1, POLL_IN, 0};
    if (sys5(__NR_ppoll, polled, n, 0, 0, 8) < 0)
        return 1;
    for (int i = 0; i < indexes; i++)
        if (polled[i + 3].revents && i < live && children[i].used && children[i].status == polled[i + 3].fd)
            hear(connection, &children[i]);
    if (polled[0].revents) {
        struct siginfo info;
        while (sys3(__NR_read, signals, &info, sizeof info) == sizeof info) {
            uint32_t signal = (uint32_t)info.signo;
            if (signal == SIG_CHLD)
                reap(connection);
            else if (interactive() && (signal == SIG_INT || signal == SIG_QUIT) && info.code == SI_KERNEL)
                continue; /* the terminal has sent it to them too */
            else if (connection >= 0)
                tell(connection, 'S', &signal, sizeof signal, -1);
            else
                for (int i = 0; i < live; i++)
                    if (children[i].used && children[i].pid && children[i].flags & INTERACTIVE)
                        sys2(__NR_kill, children[i].pid, signal);
        }
    }
    if (polled[1].revents) {
        int fds[DESCRIPTORS], count;
        word size = receive(connection, message, sizeof message, fds, &count, 0);
        if (size <= 0)
            return 0;
        obey(connection, (size_t)size, fds, count);
    }
    if (polled[2].revents && accepted)
        *accepted = (int)sys4(__NR_accept4, listening, 0, 0, SOCK_CLOEXEC);
    return 1;
}

static int watch_signals(uint64_t wanted)
{
    sys4(__NR_rt_sigprocmask, SIG_BLOCK, &wanted, 0, 8);
    return (int)sys4(__NR_signalfd4, -1, &wanted, 8, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static int address(struct sockaddr_un *to, const char *name)
{
    *to = (struct sockaddr_un){.family = AF_UNIX};
    copy(to->path + 1, name, length(name));
    return (int)(sizeof to->family + 1 + length(name));
}

/* A signal's bit, unless it is ignored: whoever started this wants that (nohup, a shell's background). */
static uint64_t heeded(int signal)
{
    struct sigaction now = {0};
    sys4(__NR_rt_sigaction, signal, 0, &now, 8);
    return now.handler == (void (*)(int))1 /* SIG_IGN */ ? 0 : bit(signal);
}

static void converse(int connection)
{
    /* What is written to nobody is an error to be told, not an end; and a child has no business with the server. */
    struct sigaction ignore = {.handler = (void (*)(int))1 /* SIG_IGN */};
    sys4(__NR_rt_sigaction, SIG_PIPE, &ignore, 0, 8);
    sys3(__NR_fcntl, connection, F_SETFD, 1);
    int signals = watch_signals(bit(SIG_CHLD) | heeded(SIG_INT) | heeded(SIG_TERM) | heeded(SIG_HUP) | heeded(SIG_QUIT));
    while (turn(connection, -1, signals, 0))
        ;
    sys1(__NR_close, connection);
    if (!interactive() && last_code < 0) {
        complain("vjail: the lab's server has gone; `vjail ls` says whether the lab is still there\n");
        leave(1);
    }
    /* A shell needs no server to go on. */
    while (interactive())
        turn(-1, -1, signals, 0);
    leave(last_code & 0x7f ? 128 + (last_code & 0x7f) : last_code >> 8);
}

static void tell_strings(int connection, char letter, char **strings)
{
    size_t used = 0;
    for (; *strings; strings++) {
        size_t n = length(*strings) + 1;
        if (used && used + n > CHUNK)
            tell(connection, letter, message, used, -1), used = 0;
        if (n > CHUNK) {
            tell(connection, letter, *strings, n, -1);
            continue;
        }
        copy(message + used, *strings, n);
        used += n;
    }
    if (used)
        tell(connection, letter, message, used, -1);
}

/* A command of FreeBSD's: the lab's server listens in the network namespace the caller is in. */
static void ask(char **argv, char **envp)
{
    struct sockaddr_un to;
    int size = address(&to, "vjail");
    word connection = sys3(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0 || sys3(__NR_connect, connection, &to, size) < 0) {
        complain(basename_of(argv[0]));
        complain(": the lab's server does not answer; on the machine itself, `vjail ls` starts it again\n");
        leave(1);
    }
    char cwd[4096];
    word n = sys2(__NR_getcwd, cwd, sizeof cwd);
    struct {
        uint8_t terminals;
        char path[4096];
    } where = {0, "/"};
    for (int fd = 0; fd < 3; fd++) {
        char termios[64];
        if (sys3(__NR_ioctl, fd, 0x5401 /* TCGETS */, termios) >= 0)
            where.terminals |= (uint8_t)(1 << fd);
    }
    if (n > 0 && cwd[0] == '/')
        copy(where.path, cwd, (size_t)n);
    tell((int)connection, 'C', &where, 1 + length(where.path) + 1, -1);
    tell_strings((int)connection, 'A', argv);
    tell_strings((int)connection, 'V', envp);
    tell((int)connection, 'G', 0, 0, -1);
    converse((int)connection);
}

/* PID 1 of a lab. Listens in its own network namespace, where only the lab's server can come. */
static void anchor(void)
{
    struct sockaddr_un to;
    int size = address(&to, "anchor"), connection = -1;
    word listening = sys3(__NR_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int signals = watch_signals(bit(SIG_CHLD) | bit(SIG_INT) | bit(SIG_TERM) | bit(SIG_HUP));
    if (listening < 0 || sys3(__NR_bind, listening, &to, size) < 0 || sys2(__NR_listen, listening, 4) < 0)
        leave(1);
    for (;;) {
        int accepted = -1;
        if (!turn(connection, (int)listening, signals, &accepted))
            sys1(__NR_close, connection), connection = -1;
        if (accepted >= 0) {
            if (connection >= 0)
                sys1(__NR_close, connection);
            connection = accepted;
        }
    }
}

static int number(const char *text)
{
    int n = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        n = n * 10 + (*text - '0');
    return n;
}

__attribute__((noreturn, used)) void start(word *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
    const char *name = argc > 0 ? basename_of(argv[0]) : "";
    if (same(name, "vjail-agent")) {
        if (argc == 2 && same(argv[1], "anchor"))
            anchor();
        if (argc == 3 && same(argv[1], "session"))
            converse(number(argv[2]));
        complain("usage: vjail-agent anchor | session FD\n");
        leave(64);
    }
    ask(argv, envp);
    for (;;)
        leave(1);
}
