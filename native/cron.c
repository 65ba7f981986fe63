/* cron(8) for lab hosts and jails: what /etc/crontab, /etc/cron.d and /var/cron/tabs say, minute by minute, in UTC.
 *
 * The files are read anew every minute, so a change needs no signal. Nothing is mailed: what a command writes is lost,
 * unless it goes somewhere itself. What is run, and what is wrong in a file that changed, is told to syslogd. Options
 * are those of FreeBSD's daemon and change nothing.
 */
#include "daemon.h"

static const char PID_FILE[] = "/var/run/cron.pid", LOG[] = "/var/run/log", TABS[] = "/var/cron/tabs";
static const char SYSTEM_TAB[] = "/etc/crontab", SYSTEM_TABS[] = "/etc/cron.d";
enum { FILE_SIZE = 1 << 18, SETTINGS = 64, SETTINGS_SIZE = 8192, GROUPS = 64, PATH_SIZE = 512 };

/* --- the log ------------------------------------------------------------------------------------------------------ */

/* `(who) ` and three pieces of text, from this process; facility cron, priority info. */
static void tell(const char *who, const char *a, const char *b, const char *c)
{
    static char message[2048];
    struct text to = {message, message + sizeof message};
    struct sockaddr_un address = {.family = AF_UNIX};
    copy(address.path, LOG, sizeof LOG);
    put(&to, "<78>/usr/sbin/cron["), put_number(&to, (uint64_t)sys0(__NR_getpid), 0, ' ');
    put(&to, "]: ("), put(&to, who), put(&to, ") "), put(&to, a), put(&to, b), put(&to, c);
    word fd = sys3(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    syscall6(__NR_sendto, fd, (word)message, to.at - message, MSG_NOSIGNAL, (word)&address, sizeof address);
    sys1(__NR_close, fd);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

struct file {
    char text[FILE_SIZE + 1];
    size_t size;
    unsigned owner, mode;
    int64_t changed;
};

/* The file's content, its end a NUL; 0 where it is no regular file, cannot be read or does not fit. */
static int read_file(const char *path, struct file *file)
{
    struct statx found;
    word n, fd = sys4(__NR_openat, HERE, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    file->size = 0;
    if (fd < 0)
        return 0;
    int good = sys5(__NR_statx, fd, "", EMPTY_PATH, STATX_BASIC_STATS, &found) >= 0;
    good = good && (found.stx_mode & S_IFMT) == S_IFREG;
    while (good && (n = sys3(__NR_read, fd, file->text + file->size, FILE_SIZE + 1 - file->size)) > 0)
        good = (file->size += (size_t)n) <= FILE_SIZE;
    sys1(__NR_close, fd);
    if (!good)
        return 0;
    file->text[file->size] = 0;
    file->owner = found.stx_uid, file->mode = found.stx_mode, file->changed = found.stx_mtime.tv_sec;
    return 1;
}

static char *end_of_line(char *at)
{
    while (*at && *at != '\n')
        at++;
    return at;
}

static int is_blank(char c) { return c == ' ' || c == '\t'; }

static char *skip_blanks(char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

static char *skip_word(char *at)
{
    while (*at && !is_blank(*at))
        at++;
    return at;
}

/* --- users -------------------------------------------------------------------------------------------------------- */

struct user {
    unsigned uid, gid;
    char name[64], home[256];
};

/* Field number `index` of a line whose fields end at colons; *size its length. 0 where the line has fewer. */
static const char *field(const char *line, int index, size_t *size)
{
    for (; index; index--) {
        while (*line && *line != ':' && *line != '\n')
            line++;
        if (*line++ != ':')
            return 0;
    }
    for (*size = 0; line[*size] && line[*size] != ':' && line[*size] != '\n';)
        ++*size;
    return line;
}

static int is_text(const char *data, size_t size, const char *string)
{
    while (size && *string && *data == *string)
        data++, string++, size--;
    return !size && !*string;
}

static int take_field(const char *line, int index, char *to, size_t room)
{
    size_t size;
    const char *found = field(line, index, &size);
    if (!found || size >= room)
        return 0;
    copy(to, found, size);
    to[size] = 0;
    return 1;
}

static int find_user(const char *name, struct user *user)
{
    static struct file passwd;
    if (!read_file("/etc/passwd", &passwd))
        return 0;
    for (char *line = passwd.text; *line; line = end_of_line(line), line += *line == '\n') {
        size_t size;
        const char *uid = field(line, 2, &size), *gid = field(line, 3, &size);
        if (!take_field(line, 0, user->name, sizeof user->name) || !same(user->name, name) || !uid || !gid)
            continue;
        int64_t numbers[2] = {take_number(&uid), take_number(&gid)};
        user->uid = (unsigned)numbers[0], user->gid = (unsigned)numbers[1];
        return numbers[0] >= 0 && numbers[1] >= 0 && take_field(line, 5, user->home, sizeof user->home);
    }
    return 0;
}

/* The groups that list the user, behind its own. */
static int find_groups(const struct user *user, unsigned *groups)
{
    static struct file group;
    int count = 0;
    groups[count++] = user->gid;
    if (!read_file("/etc/group", &group))
        return count;
    for (char *line = group.text; *line; line = end_of_line(line), line += *line == '\n') {
        size_t size, left;
        const char *gid = field(line, 2, &size), *member = field(line, 3, &left);
        int64_t number = gid ? take_number(&gid) : -1;
        while (number >= 0 && member && left) {
            size_t n = 0;
            while (n < left && member[n] != ',')
                n++;
            if (is_text(member, n, user->name) && number != user->gid && count < GROUPS)
                groups[count++] = (unsigned)number;
            n += n < left;
            member += n, left -= n;
        }
    }
    return count;
}

/* --- when --------------------------------------------------------------------------------------------------------- */

struct when {
    uint64_t minutes, hours, days, months, weekdays; /* a bit each; days from 1, months from 1 */
    int any_day, any_weekday, reboot;
};

static const char DAYS[] = "SunMonTueWedThuFriSat";

static uint64_t range(int64_t from, int64_t to, int64_t step)
{
    uint64_t bits = 0;
    for (; from <= to; from += step)
        bits |= 1ull << from;
    return bits;
}

/* A number, or where there are names three letters of one, which count from `low` (days: from 0). */
static int64_t take_value(const char **at, int low, const char *names)
{
    if (is_digit(**at) || !names)
        return take_number(at);
    for (int i = 0; names[3 * i]; i++) {
        const char *name = names + 3 * i, *a = *at;
        if ((a[0] | 040) == (name[0] | 040) && a[1] && (a[1] | 040) == name[1] && (a[2] | 040) == name[2]) {
            *at += 3;
            return i + low;
        }
    }
    return -1;
}

/* One of the five fields: a list of `*`, N, N-M, the first and last with `/STEP`. 0 where it is none. */
static int take_times(char **line, int low, int high, const char *names, uint64_t *bits, int *any)
{
    const char *at = *line;
    *bits = 0;
    *any = *at == '*';
    for (;; at++) {
        int64_t from = low, to = high, step = 1;
        int is_range = *at == '*';
        if (is_range)
            at++;
        else if ((to = from = take_value(&at, low, names)) >= low && *at == '-')
            at++, to = take_value(&at, low, names), is_range = 1;
        if (is_range && *at == '/')
            at++, step = take_number(&at);
        if (from < low || from > high || to < from || to > high || step < 1)
            return 0;
        *bits |= range(from, to, step);
        if (*at != ',')
            break;
    }
    /* As FreeBSD's, what else is in the field does not count. */
    *line = skip_blanks(skip_word((char *)at));
    return 1;
}

static const struct {
    const char *name;
    uint64_t minutes, hours, days, months, weekdays;
} SHORTHANDS[] = {
    {"yearly", 1, 1, 2, 2, 255},
    {"annually", 1, 1, 2, 2, 255},
    {"monthly", 1, 1, 2, ~0ull, 255},
    {"weekly", 1, 1, ~0ull, ~0ull, 1},
    {"daily", 1, 1, ~0ull, ~0ull, 255},
    {"midnight", 1, 1, ~0ull, ~0ull, 255},
    {"hourly", 1, ~0ull, ~0ull, ~0ull, 255},
    {"every_minute", ~0ull, ~0ull, ~0ull, ~0ull, 255},
};

/* The times of an entry; `*line` is left at what follows. What is wrong with them, or 0. */
static const char *take_when(char **line, struct when *when)
{
    int any;
    *when = (struct when){0, 0, 0, 0, 0, 1, 1, 0};
    if (**line == '@') {
        char *word = *line + 1, *end = skip_word(word);
        size_t size = (size_t)(end - word);
        *line = skip_blanks(end);
        if (is_text(word, size, "reboot"))
            return when->reboot = 1, (const char *)0;
        for (size_t i = 0; i < sizeof SHORTHANDS / sizeof *SHORTHANDS; i++)
            if (is_text(word, size, SHORTHANDS[i].name)) {
                when->minutes = SHORTHANDS[i].minutes, when->hours = SHORTHANDS[i].hours;
                when->days = SHORTHANDS[i].days, when->months = SHORTHANDS[i].months;
                when->weekdays = SHORTHANDS[i].weekdays;
                return 0;
            }
        return "bad time specifier";
    }
    if (!take_times(line, 0, 59, 0, &when->minutes, &any))
        return "bad minute";
    if (!take_times(line, 0, 23, 0, &when->hours, &any))
        return "bad hour";
    if (!take_times(line, 1, 31, 0, &when->days, &when->any_day))
        return "bad day-of-month";
    if (!take_times(line, 1, 12, MONTHS, &when->months, &any))
        return "bad month";
    if (!take_times(line, 0, 7, DAYS, &when->weekdays, &when->any_weekday))
        return "bad day-of-week";
    if (when->weekdays & 129)
        when->weekdays |= 129; /* Sunday is 0 and 7 */
    return 0;
}

/* Where both days are restricted either will do (crontab(5)). */
static int is_due(const struct when *when, const struct moment *now)
{
    int day = when->days >> now->day & 1, weekday = when->weekdays >> now->weekday & 1;
    int is_day = when->any_day || when->any_weekday ? day && weekday : day || weekday;
    return !when->reboot && when->minutes >> now->minute & 1 && when->hours >> now->hour & 1 &&
           when->months >> (now->month + 1) & 1 && is_day;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

/* What an entry's command has in its environment: `NAME=VALUE` each, the file's own settings among them. */
struct environment {
    char *each[SETTINGS + 1], text[SETTINGS_SIZE];
    size_t used;
    int count;
};

/* The value of a name; 0 where it has none. */
static char **find(struct environment *environment, const char *name, size_t size)
{
    for (int i = 0; i < environment->count; i++) {
        size_t n = 0;
        while (n < size && environment->each[i][n] == name[n])
            n++;
        if (n == size && environment->each[i][n] == '=')
            return &environment->each[i];
    }
    return 0;
}

/* Give a name a value, in place of the one it had. What does not fit is lost. */
static void set(struct environment *environment, const char *name, size_t size, const char *value, size_t room)
{
    char **entry = find(environment, name, size), *at = environment->text + environment->used;
    struct text to = {at, environment->text + SETTINGS_SIZE - 1};
    if (size + room + 2 > (size_t)(to.end - at) || (!entry && environment->count == SETTINGS))
        return;
    put_bytes(&to, name, size), put(&to, "="), put_bytes(&to, value, room);
    *to.at++ = 0;
    environment->used = (size_t)(to.at - environment->text);
    if (!entry)
        entry = &environment->each[environment->count++];
    *entry = at;
    environment->each[environment->count] = 0;
}

static void set_string(struct environment *environment, const char *name, const char *value)
{
    set(environment, name, length(name), value, length(value));
}

/* Be the user. Without a right to change users only the one this process is can be. */
static int become(const struct user *user)
{
    static unsigned groups[GROUPS];
    int count = find_groups(user, groups);
    int same_already = user->uid == (unsigned)sys0(__NR_getuid) && user->gid == (unsigned)sys0(__NR_getgid);
    word r = sys2(__NR_setgroups, count, groups);
    return (r >= 0 || same_already) && sys3(__NR_setresgid, user->gid, user->gid, user->gid) >= 0 &&
           sys3(__NR_setresuid, user->uid, user->uid, user->uid) >= 0;
}

/* A command's `%` end its lines: the first line is the command, the others its standard input; `\%` is a `%`. */
static void split_input(char *command)
{
    char *to = command;
    word memory, error;
    char *input = 0;
    for (char *at = command; *at; at++) {
        if (*at == '\\' && at[1] == '%')
            *to++ = *++at;
        else if (*at != '%')
            *to++ = *at;
        else if (!input)
            *to++ = 0, input = to;
        else
            *to++ = '\n';
    }
    *to = 0;
    if (!input)
        return;
    memory = sys2(__NR_memfd_create, "input", 0);
    if (memory < 0)
        return;
    write_all((int)memory, input, (size_t)(to - input), &error);
    write_all((int)memory, "\n", 1, &error);
    sys3(__NR_lseek, memory, 0, 0);
    sys3(__NR_dup3, memory, 0, 0);
}

/* Run a command in a process of its own. */
static void run(const char *user_name, char *command, struct environment *environment)
{
    static struct user user;
    int quiet = 0;
    while (*command == '-') { /* -n: no mail, which there never is; -q: nothing in the log */
        for (; *command && !is_blank(*command); command++)
            quiet |= *command == 'q';
        command = skip_blanks(command);
    }
    if (!find_user(user_name, &user))
        return tell(user_name, "ORPHAN (no passwd entry)", "", "");
    if (sys5(__NR_clone, SIG_CHLD, 0, 0, 0, 0) != 0)
        return;
    uint64_t none = 0;
    sys0(__NR_setsid);
    if (!quiet)
        tell(user_name, "CMD (", command, ")");
    if (!become(&user)) {
        tell(user_name, "cannot be run as that user", "", "");
        leave(1);
    }
    if (!find(environment, "HOME", 4))
        set_string(environment, "HOME", user.home);
    set_string(environment, "LOGNAME", user.name);
    set_string(environment, "USER", user.name);
    if (sys1(__NR_chdir, *find(environment, "HOME", 4) + 5) < 0)
        sys1(__NR_chdir, "/");
    split_input(command);
    sys1(__NR_umask, 022);
    sys4(__NR_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    char *shell = *find(environment, "SHELL", 5) + 6, *argv[] = {shell, "-c", command, 0};
    sys3(__NR_execve, shell, argv, environment->each);
    tell(user_name, "cannot run ", shell, "");
    leave(127);
}

/* --- the files ---------------------------------------------------------------------------------------------------- */

/* A name or a value at `*at`, perhaps quoted, otherwise up to one of `ends` or the end; its size. Left behind it. */
static size_t take_word(char **at, char **word, const char *ends)
{
    char quote = **at == '"' || **at == '\'' ? *(*at)++ : 0, *end = *at;
    *word = *at;
    for (; *end && *end != quote; end++)
        if (!quote && (*end == ends[0] || *end == ends[1]))
            break;
    *at = quote && *end ? end + 1 : end;
    while (!quote && end > *word && is_blank(end[-1]))
        end--;
    return (size_t)(end - *word);
}

/* `NAME=VALUE`, blanks around the `=` and quotes around either allowed. 0 where the line is none. */
static int take_setting(char *line, struct environment *environment)
{
    char *name, *value;
    size_t name_size = take_word(&line, &name, "= "), value_size;
    line = skip_blanks(line);
    if (!name_size || *line != '=')
        return 0;
    line = skip_blanks(line + 1);
    value_size = take_word(&line, &value, "\n\n");
    set(environment, name, name_size, value, value_size);
    return 1;
}

/* Run what is due of one line: of an entry of a system's file, which names its user, or of `owner`'s. */
static const char *take_line(char *line, const char *owner, const struct moment *now, struct environment *environment)
{
    static struct environment own;
    struct when when;
    if (!*line || *line == '#' || (!is_digit(*line) && *line != '*' && *line != '@' && take_setting(line, environment)))
        return 0;
    const char *wrong = take_when(&line, &when);
    if (wrong)
        return wrong;
    const char *user = owner;
    if (!user) {
        char *end = skip_word(line);
        user = line;
        line = skip_blanks(end);
        *end = 0;
    }
    if (!*user || !*line)
        return *user ? "bad command" : "bad username";
    if (now ? is_due(&when, now) : when.reboot) {
        copy(&own, environment, sizeof own);
        for (int i = 0; i < own.count; i++)
            own.each[i] = own.text + (environment->each[i] - environment->text);
        run(user, line, &own);
    }
    return 0;
}

/* Run what is due of one file. `since`: what is wrong in it is told if it has changed after that second. */
static void take_file(const char *path, const char *owner, const struct moment *now, int64_t since)
{
    static struct file file;
    static struct environment environment;
    static struct user user;
    int number = 0;
    if (!read_file(path, &file))
        return;
    if (owner && !find_user(owner, &user))
        return;
    if (file.mode & 022 || (file.owner && !(owner && file.owner == user.uid))) {
        if (file.changed >= since)
            tell(owner ? owner : "*system*", "not read, since others may write it: ", path, "");
        return;
    }
    environment.used = 0, environment.count = 0;
    set_string(&environment, "SHELL", "/bin/sh");
    set_string(&environment, "PATH", "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin");
    for (char *line = file.text, *next; *line; line = next) {
        char *end = end_of_line(line);
        next = end + (*end == '\n');
        *end = 0;
        number++;
        const char *wrong = take_line(skip_blanks(line), owner, now, &environment);
        if (wrong && file.changed >= since) {
            char place[PATH_SIZE + 32];
            struct text to = {place, place + sizeof place - 1};
            put(&to, " ("), put(&to, path), put(&to, ":"), put_number(&to, (uint64_t)number, 0, ' '), put(&to, ")");
            *to.at = 0;
            tell(owner ? owner : "*system*", wrong, place, "");
        }
    }
}

struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* Every file of a directory; in /var/cron/tabs a file is called like its user. */
static void take_directory(const char *path, int is_users, const struct moment *now, int64_t since)
{
    static char buffer[1 << 15] __attribute__((aligned(8)));
    word n, fd = sys4(__NR_openat, HERE, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    while ((n = sys3(__NR_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (word at = 0; at < n; at += ((struct entry *)(buffer + at))->size) {
            const char *name = ((struct entry *)(buffer + at))->name;
            char whole[PATH_SIZE];
            struct text to = {whole, whole + sizeof whole - 1};
            if (*name == '.' || name[length(name) - 1] == '~')
                continue;
            put(&to, path), put(&to, "/"), put(&to, name);
            *to.at = 0;
            take_file(whole, is_users ? name : 0, now, since);
        }
    sys1(__NR_close, fd);
}

/* Run what is due: at a minute, or with `now` 0 what is to be run once. */
static void take_all(const struct moment *now, int64_t since)
{
    take_file(SYSTEM_TAB, 0, now, since);
    take_directory(SYSTEM_TABS, 0, now, since);
    take_directory(TABS, 1, now, since);
}

/* Sleep until a moment, or less; reap, and end at a signal that asks for it. */
static void wait_until(int64_t then, int signals, int pid_file)
{
    struct pollfd polled = {signals, POLL_IN, 0};
    struct timespec64 rest = {then - seconds_now(), 0};
    struct siginfo info;
    if (rest.seconds > 0)
        sys5(__NR_ppoll, &polled, 1, &rest, 0, 8);
    while (sys3(__NR_read, signals, &info, sizeof info) == sizeof info)
        if (info.signo != SIG_CHLD && info.signo != SIG_HUP) {
            remove_pid_file(pid_file, PID_FILE);
            leave(0);
        }
    while (sys4(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
        ;
}

__attribute__((noreturn, used)) void start(word *stack)
{
    (void)stack;
    int pid_file = open_pid_file("cron", PID_FILE);
    int signals = watch_signals(bit(SIG_CHLD) | bit(SIG_HUP) | bit(SIG_INT) | bit(SIG_QUIT) | bit(SIG_TERM));
    become_daemon(pid_file);
    take_all(0, 0);
    int64_t last = seconds_now() / 60; /* the minute that has been seen to */
    for (;;) {
        wait_until((last + 1) * 60, signals, pid_file);
        int64_t minute = seconds_now() / 60;
        if (minute > last) {
            struct moment now = moment_of(minute * 60);
            take_all(&now, last * 60);
        }
        last = minute;
    }
}
