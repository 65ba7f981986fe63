/* syslogd(8) for lab hosts and jails: what programs log goes to /var/log/messages, as FreeBSD's syslogd writes it.
 *
 * It listens at /var/run/log, where FreeBSD's programs log, and where it can at /dev/log, where this machine's do.
 * Every line has the time it came, in UTC. SIGHUP: open the file anew. Options are FreeBSD's and change nothing.
 */
#include "daemon.h"

static const char PID_FILE[] = "/var/run/syslog.pid", MESSAGES[] = "/var/log/messages";
static const char *const PLACES[] = {"/var/run/log", "/dev/log"};
enum { SOCKETS = 2, LONGEST = 8192, AT_ONCE = 256 };

static int sockets[SOCKETS] = {-1, -1}, output = -1;
static struct statx made[SOCKETS];
static char host[65];

static void open_output(void)
{
    if (output >= 0)
        sys1(__NR_close, output);
    output = (int)sys4(__NR_openat, HERE, MESSAGES, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

/* The host's name up to its first dot, as syslogd writes it. */
static void read_host(void)
{
    static char names[6][65];
    struct text to = {host, host + sizeof host - 1};
    sys1(__NR_uname, names);
    for (const char *c = names[1]; *c && *c != '.'; c++)
        put_bytes(&to, c, 1);
    *to.at = 0;
}

/* Listen at PLACES[i], taking the place of a socket that nobody listens at any more. */
static int listen_at(int i)
{
    struct sockaddr_un address = {.family = AF_UNIX};
    struct statx there;
    copy(address.path, PLACES[i], length(PLACES[i]) + 1);
    word found = sys5(__NR_statx, HERE, PLACES[i], NO_FOLLOW, STATX_TYPE, &there);
    if (found == 0 && (there.stx_mode & S_IFMT) == S_IFSOCK)
        sys3(__NR_unlinkat, HERE, PLACES[i], 0);
    word fd = sys3(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (sys3(__NR_bind, fd, &address, sizeof address.family + length(PLACES[i]) + 1) < 0) {
        sys1(__NR_close, fd);
        return -1;
    }
    sys3(__NR_fchmodat, HERE, PLACES[i], 0666);
    sys5(__NR_statx, HERE, PLACES[i], NO_FOLLOW, STATX_INO, &made[i]);
    return (int)fd;
}

/* Whether a character is of a kind: `a` a letter, `0` a digit, `9` a digit or a blank, others themselves. */
static int is_kind(char c, char kind)
{
    switch (kind) {
    case 'a': return (c | 040) >= 'a' && (c | 040) <= 'z';
    case '0': return is_digit(c);
    case '9': return is_digit(c) || c == ' ';
    default: return c == kind;
    }
}

/* Whether `message` begins with a time as syslog(3) writes it: `Nov 22 08:32:01 `. */
static int has_time(const char *message)
{
    for (const char *form = "aaa 90 00:00:00 "; *form; form++, message++)
        if (!is_kind(*message, *form))
            return 0;
    return 1;
}

/* What comes after `<N>` and the sender's own time, where they are. */
static const char *after_header(const char *message)
{
    const char *at = message + 1;
    if (*message == '<' && take_number(&at) >= 0 && *at == '>')
        message = at + 1;
    return has_time(message) ? message + 16 : message;
}

static void write_line(const char *message)
{
    static char line[4 * LONGEST];
    struct text to = {line, line + sizeof line - 1};
    struct moment now = moment_of(seconds_now());
    word error;
    put_bytes(&to, MONTHS + 3 * now.month, 3), put(&to, " ");
    put_number(&to, (uint64_t)now.day, 2, ' '), put(&to, " ");
    put_number(&to, (uint64_t)now.hour, 2, '0'), put(&to, ":");
    put_number(&to, (uint64_t)now.minute, 2, '0'), put(&to, ":");
    put_number(&to, (uint64_t)now.second, 2, '0'), put(&to, " ");
    put(&to, host), put(&to, " ");
    for (; *message; message++) {
        char c = *message, visible[2] = {'^', (char)(c ^ 0100)};
        if (c == '\n')
            put(&to, " ");
        else if (((unsigned char)c < ' ' && c != '\t') || c == 0177)
            put_bytes(&to, visible, 2);
        else
            put_bytes(&to, &c, 1);
    }
    *to.at++ = '\n';
    if (output < 0)
        open_output();
    if (output >= 0)
        write_all(output, line, (size_t)(to.at - line), &error);
}

static void receive(int fd)
{
    static char message[LONGEST + 1];
    for (int i = 0; i < AT_ONCE; i++) {
        word n = syscall6(__NR_recvfrom, fd, (word)message, LONGEST, 0, 0, 0);
        if (n < 0)
            return;
        while (n > 0 && (message[n - 1] == '\n' || message[n - 1] == 0))
            n--;
        message[n] = 0;
        const char *text = after_header(message);
        if (*text)
            write_line(text);
    }
}

__attribute__((noreturn)) static void end(int pid_file, int signal)
{
    char message[64];
    struct text to = {message, message + sizeof message - 1};
    put(&to, "syslogd: exiting on signal "), put_number(&to, (uint64_t)signal, 0, ' ');
    *to.at = 0;
    for (int i = 0; i < SOCKETS; i++)
        if (sockets[i] >= 0) {
            receive(sockets[i]);
            if (is_same_file(PLACES[i], -1, &made[i]))
                sys3(__NR_unlinkat, HERE, PLACES[i], 0);
        }
    write_line(message);
    remove_pid_file(pid_file, PID_FILE);
    leave(0);
}

__attribute__((noreturn, used)) void start(word *stack)
{
    (void)stack;
    int pid_file = open_pid_file("syslogd", PID_FILE);
    int signals = watch_signals(bit(SIG_HUP) | bit(SIG_INT) | bit(SIG_QUIT) | bit(SIG_TERM));
    sys1(__NR_umask, 022);
    for (int i = 0; i < SOCKETS; i++)
        sockets[i] = listen_at(i);
    if (sockets[0] < 0 && sockets[1] < 0) {
        complain("syslogd: can listen neither at /var/run/log nor at /dev/log\n");
        leave(1);
    }
    read_host();
    open_output();
    become_daemon(pid_file);
    for (;;) {
        struct pollfd polled[] = {{signals, POLL_IN, 0}, {sockets[0], POLL_IN, 0}, {sockets[1], POLL_IN, 0}};
        struct siginfo info;
        if (sys5(__NR_ppoll, polled, 3, 0, 0, 8) < 0)
            continue;
        for (int i = 0; i < SOCKETS; i++)
            if (polled[i + 1].revents)
                receive(sockets[i]);
        while (sys3(__NR_read, signals, &info, sizeof info) == sizeof info) {
            if (info.signo != SIG_HUP)
                end(pid_file, info.signo);
            read_host();
            open_output();
        }
    }
}
