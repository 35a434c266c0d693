/* A program that says by its exit status how it was asked to stop. */
#include <stdio.h>
#include <windows.h>

static BOOL WINAPI on_interrupt(DWORD event) {
    ExitProcess(100 + event);
    return TRUE;
}

int main(void) {
    SetConsoleCtrlHandler(on_interrupt, TRUE);
    puts("waiting");
    fflush(stdout);
    Sleep(60000);
    return 1;
}
