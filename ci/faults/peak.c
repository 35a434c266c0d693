/* Runs a program and prints the most memory that it had, in KiB: `peak PROGRAM ARGUMENTS...`.
 *
 * The kernel counts what a process had before it became another program, so that only a small one can measure. */
#include <stdio.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/wait.h>

int main(int count, char **arguments) {
    struct rusage usage;
    int status;
    pid_t child = count > 1 ? fork() : -1;
    if (child == 0) {
        execv(arguments[1], arguments + 1);
        _exit(127);
    }
    if (child == -1 || wait4(child, &status, 0, &usage) == -1)
        return 125;
    printf("%ld\n", usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
