// Counts the instructions that read or write a page: it is protected, each access is a fault, and the instruction runs
// alone (the trap flag of x86) before the page is protected again. Of two pages the second is never opened: an access
// that reaches into it ends the program.
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { PAGE = 4096, WRITE = 2, TRAP = 0x100 };
static char *page;
static volatile int reads, writes;

static void fault(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  char *address = info->si_addr;
  if (address < page || address >= page + PAGE) {
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  if (registers[REG_ERR] & WRITE) writes++;
  else reads++;
  mprotect(page, PAGE, PROT_READ | PROT_WRITE);
  registers[REG_EFL] |= TRAP;
}

static void after(int number, siginfo_t *info, void *context) {
  ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP;
  mprotect(page, PAGE, PROT_NONE);
}

void watch(void *start) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  page = start;
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = fault;
  sigaction(SIGSEGV, &action, 0);
  action.sa_sigaction = after;
  sigaction(SIGTRAP, &action, 0);
  mprotect(page, 2 * PAGE, PROT_NONE);
}

// Reads in the upper, writes in the lower 16 bits, since the last call.
int counted(void) {
  int found = reads << 16 | writes;
  reads = writes = 0;
  return found;
}
