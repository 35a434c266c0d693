/* Runs a program and interferes with one of its system calls.
 *
 *   inject [-c CALLS] [-p PREFIX] [-n N|N+ -a ACTION]... [-l LOG] -- PROGRAM ARGUMENTS...
 *
 * Counts the calls named in CALLS (a comma-separated list, or `all` that this file knows but `write`) over all threads of the
 * program, from the first one on that names a path which contains PREFIX: what the dynamic linker and the runtime do
 * before is left alone. The N-th call, or all from the N-th on, meets ACTION:
 *
 *   EIO ...      the call is not made and fails with this error
 *   short=BYTES  the call is made, but for at most BYTES bytes
 *   kill=SIGNAL  the call is made, and the program gets the signal just before
 *   run=COMMAND  the call is made after the shell command has ended; the thread waits for it
 *
 * LOG receives a line `N CALL PATH -> ACTION` for each call that was met, without an action for every call, and last
 * `total N`. The exit status is the program's, or 128 and the number of the signal that ended it.
 *
 * strace can do some of this, but counts by thread, can't shorten a call, and takes five times as long.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifndef __x86_64__
#error "inject.c knows the registers of x86-64 only"
#endif

/* Each call, the arguments that are paths, and the one that is a number of bytes (0 is none). */
struct call {
    const char *name;
    int number;
    int path, second_path;
    int bytes;
};

static const struct call calls[] = {
#define CALL(name, path, second_path, bytes) {#name, SYS_##name, path, second_path, bytes}
    CALL(openat, 2, 0, 0),
    CALL(mkdirat, 2, 0, 0),
    CALL(symlinkat, 3, 1, 0),
    CALL(linkat, 2, 4, 0),
    CALL(unlinkat, 2, 0, 0),
    CALL(renameat, 2, 4, 0),
    CALL(renameat2, 2, 4, 0),
    CALL(read, 0, 0, 3),
    CALL(pread64, 0, 0, 3),
    CALL(pwrite64, 0, 0, 3),
    CALL(write, 0, 0, 3),
    CALL(copy_file_range, 0, 0, 5),
    CALL(fallocate, 0, 0, 0),
    CALL(ftruncate, 0, 0, 0),
    CALL(lseek, 0, 0, 0),
    CALL(ioctl, 0, 0, 0),
    CALL(flock, 0, 0, 0),
    CALL(fchmod, 0, 0, 0),
    CALL(fchmodat, 2, 0, 0),
    CALL(fchown, 0, 0, 0),
    CALL(fchownat, 2, 0, 0),
    CALL(utimensat, 2, 0, 0),
    CALL(newfstatat, 2, 0, 0),
    CALL(fstat, 0, 0, 0),
    CALL(statx, 2, 0, 0),
    CALL(fstatfs, 0, 0, 0),
    CALL(getdents64, 0, 0, 0),
    CALL(readlinkat, 2, 0, 0),
    CALL(flistxattr, 0, 0, 0),
    CALL(fgetxattr, 2, 0, 0),
    CALL(fsetxattr, 2, 0, 0),
    CALL(fremovexattr, 2, 0, 0),
    CALL(fsync, 0, 0, 0),
    CALL(syncfs, 0, 0, 0),
    CALL(unshare, 0, 0, 0),
    CALL(close_range, 0, 0, 0),
    CALL(clone3, 0, 0, 0),
};
#define CALLS (sizeof calls / sizeof *calls)

static const struct {
    const char *name;
    int number;
} errors[] = {
#define ERROR(name) {#name, name}
    ERROR(EACCES), ERROR(EAGAIN), ERROR(EDQUOT), ERROR(EEXIST), ERROR(EINTR), ERROR(EINVAL), ERROR(EIO),
    ERROR(EMFILE), ERROR(EMLINK), ERROR(ENFILE), ERROR(ENOENT), ERROR(ENOMEM), ERROR(ENOSPC), ERROR(ENOSYS),
    ERROR(EOPNOTSUPP), ERROR(EPERM), ERROR(EROFS), ERROR(EXDEV),
};

static char chosen[CALLS];
static const char *prefix;
static long counted;
static int is_armed;

/* What the calls from the first to the last meet; several rules for one call act in turn. */
static struct {
    long first, last;
    const char *action;
} rules[8];
#define RULES (sizeof rules / sizeof *rules)
static size_t rule_count;
static FILE *log_file;
static pid_t child;

/* Arguments that were changed for one call: a compiler expects to find them as they were after it. */
static struct {
    pid_t thread;
    int index;
    unsigned long long value;
} changed[64];
#define CHANGED (sizeof changed / sizeof *changed)

static void die(const char *what) {
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    if (child > 0)
        kill(child, SIGKILL);
    exit(125);
}

static void choose(char *list) {
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        size_t found = 0;
        for (size_t i = 0; i < CALLS; i++)
            if ((!strcmp(name, "all") && calls[i].number != SYS_write) || !strcmp(name, calls[i].name))
                chosen[i] = 1, found++;
        if (!found) {
            errno = EINVAL;
            die(name);
        }
    }
}

/* Stops the traced program at each of the calls, and at no other. */
static void install_filter(void) {
    struct sock_filter filter[2 * CALLS + 2];
    size_t at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CALLS; i++) {
        /* Before the first match all calls with a path are looked at. */
        if (!chosen[i] && !calls[i].path)
            continue;
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = at, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        die("seccomp");
}

static unsigned long long *argument(struct user_regs_struct *regs, int index) {
    switch (index) {
    case 1: return &regs->rdi;
    case 2: return &regs->rsi;
    case 3: return &regs->rdx;
    case 4: return &regs->r10;
    case 5: return &regs->r8;
    default: return &regs->r9;
    }
}

/* The path in an argument; what can't be read is empty. */
static void read_path(pid_t thread, unsigned long long address, char *path, size_t size) {
    size_t done = 0;
    while (done + 1 < size) {
        /* To the end of the page at most: the next one may not be mapped. */
        size_t part = 4096 - (address + done) % 4096;
        if (part > size - 1 - done)
            part = size - 1 - done;
        struct iovec to = {path + done, part}, from = {(void *)(address + done), part};
        ssize_t got = process_vm_readv(thread, &to, 1, &from, 1, 0);
        if (got <= 0)
            break;
        if (memchr(path + done, 0, got))
            return;
        done += got;
    }
    path[done] = 0;
}

static void note(const struct call *call, pid_t thread, struct user_regs_struct *regs, const char *action) {
    char path[4096] = "";
    if (!log_file)
        return;
    if (call->path)
        read_path(thread, *argument(regs, call->path), path, sizeof path);
    fprintf(log_file, "%ld %s %s", counted, call->name, path);
    if (call->second_path) {
        read_path(thread, *argument(regs, call->second_path), path, sizeof path);
        fprintf(log_file, " %s", path);
    }
    fprintf(log_file, action ? " -> %s\n" : "\n", action);
}

static void set_registers(pid_t thread, struct user_regs_struct *regs) {
    if (ptrace(PTRACE_SETREGS, thread, 0, regs))
        die("PTRACE_SETREGS");
}

static void fail_call(pid_t thread, struct user_regs_struct *regs, const char *action) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (!strcmp(action, errors[i].name)) {
            regs->orig_rax = -1;
            regs->rax = -errors[i].number;
            set_registers(thread, regs);
            return;
        }
    errno = EINVAL;
    die(action);
}

static void shorten_call(const struct call *call, pid_t thread, struct user_regs_struct *regs,
                         unsigned long long most) {
    if (!call->bytes || *argument(regs, call->bytes) <= most)
        return;
    size_t i = 0;
    while (i < CHANGED && changed[i].thread)
        i++;
    if (i == CHANGED)
        return;
    changed[i].thread = thread;
    changed[i].index = call->bytes;
    changed[i].value = *argument(regs, call->bytes);
    *argument(regs, call->bytes) = most;
    set_registers(thread, regs);
}

/* Whether a call of the thread was shortened: if `restores`, what was changed is put back. */
static int is_shortened(pid_t thread, int restores) {
    struct user_regs_struct regs;
    for (size_t i = 0; i < CHANGED; i++) {
        if (changed[i].thread != thread)
            continue;
        if (restores) {
            if (!ptrace(PTRACE_GETREGS, thread, 0, &regs)) {
                *argument(&regs, changed[i].index) = changed[i].value;
                set_registers(thread, &regs);
            }
            changed[i].thread = 0;
        }
        return 1;
    }
    return 0;
}

static void act(const struct call *call, pid_t thread, struct user_regs_struct *regs, const char *action) {
    if (!strncmp(action, "short=", 6)) {
        shorten_call(call, thread, regs, strtoull(action + 6, NULL, 10));
    } else if (!strncmp(action, "kill=", 5)) {
        kill(child, atoi(action + 5));
    } else if (!strncmp(action, "run=", 4)) {
        if (system(action + 4) == -1)
            die("system");
    } else {
        fail_call(thread, regs, action);
    }
}

static int names_prefix(const struct call *call, pid_t thread, struct user_regs_struct *regs) {
    char path[4096] = "";
    if (call->path)
        read_path(thread, *argument(regs, call->path), path, sizeof path);
    return strstr(path, prefix) != NULL;
}

static void meet_call(pid_t thread) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, thread, 0, &regs))
        return; /* It was killed meanwhile. */
    size_t i = 0;
    while (i < CALLS && calls[i].number != (int)regs.orig_rax)
        i++;
    if (i == CALLS)
        return;
    is_armed = is_armed || names_prefix(&calls[i], thread, &regs);
    if (!is_armed || !chosen[i])
        return;
    counted++;
    if (!rule_count)
        note(&calls[i], thread, &regs, NULL);
    for (size_t rule = 0; rule < rule_count; rule++)
        if (counted >= rules[rule].first && counted <= rules[rule].last) {
            note(&calls[i], thread, &regs, rules[rule].action);
            act(&calls[i], thread, &regs, rules[rule].action);
        }
}

static void start(char **arguments) {
    int gate[2];
    char byte = 0;
    if (pipe(gate))
        die("pipe");
    child = fork();
    if (child == -1)
        die("fork");
    if (child == 0) {
        close(gate[1]);
        if (read(gate[0], &byte, 1) != 1)
            _exit(125);
        close(gate[0]);
        install_filter();
        execvp(*arguments, arguments);
        die(*arguments);
    }
    close(gate[0]);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, child, 0, options) || write(gate[1], &byte, 1) != 1)
        die("PTRACE_SEIZE");
    close(gate[1]);
}

/* Serves all threads until the program itself is gone. */
static int serve(void) {
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread == -1 && errno == EINTR)
            continue;
        if (thread == -1)
            die("waitpid");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == child)
                return status;
            continue;
        }
        int event = status >> 16, signal = WSTOPSIG(status);
        if (event == PTRACE_EVENT_SECCOMP) {
            meet_call(thread);
            /* A call that was changed has to be met again when it ends. */
            ptrace(is_shortened(thread, 0) ? PTRACE_SYSCALL : PTRACE_CONT, thread, 0, 0);
        } else if (!event && signal == (SIGTRAP | 0x80)) {
            is_shortened(thread, 1);
            ptrace(PTRACE_CONT, thread, 0, 0);
        } else {
            ptrace(PTRACE_CONT, thread, 0, event ? 0 : signal);
        }
    }
}

int main(int count, char **arguments) {
    int option;
    char *end;
    while ((option = getopt(count, arguments, "+c:p:n:a:l:")) != -1) {
        switch (option) {
        case 'c': choose(optarg); break;
        case 'p': prefix = optarg; break;
        case 'n':
            if (rule_count == RULES)
                return 125;
            rules[rule_count].first = strtol(optarg, &end, 10);
            rules[rule_count].last = *end == '+' ? __LONG_MAX__ : rules[rule_count].first;
            break;
        case 'a': rules[rule_count++].action = optarg; break;
        case 'l':
            log_file = fopen(optarg, "we");
            if (!log_file)
                die(optarg);
            break;
        default: return 125;
        }
    }
    is_armed = !prefix;
    start(arguments + optind);
    int status = serve();
    if (log_file)
        fprintf(log_file, "total %ld\n", counted);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
