#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000u /* of the numbers of x32 */
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define FOREIGN_BIT 0x80000000u
#else
#error "which system calls does this architecture have?"
#endif

/* The numbers have been the same everywhere since they were given; older headers lack them. */
enum { IO_URING_SETUP = 425, IO_URING_REGISTER = 427 };
enum { AGENT_PID = 1 };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(test, value, yes, no) BPF_JUMP(BPF_JMP | test | BPF_K, value, yes, no)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE(error) RETURN(SECCOMP_RET_ERRNO | error)

/* Sockets of the families that a network namespace holds in: a vsock leads to the machine's host
 * and to every other sandbox. io_uring makes sockets without a system call of its own, and other
 * ABIs number their calls differently, so both go. Where programs are root, as the agent is, they
 * must not take its descriptors or its processor time: it would not hear the emulator any more. */
static struct sock_filter program[] = {
    LOAD(arch),
    IF(BPF_JEQ, NATIVE, 1, 0),
    REFUSE(ENOSYS),
    LOAD(nr),
    IF(BPF_JSET, FOREIGN_BIT, 2, 0),
    IF(BPF_JGT, IO_URING_REGISTER, 2, 0),
    IF(BPF_JGE, IO_URING_SETUP, 0, 1),
    REFUSE(ENOSYS),
    IF(BPF_JEQ, SYS_socket, 13, 0),
    IF(BPF_JEQ, SYS_setpriority, 6, 0),
    IF(BPF_JEQ, SYS_prlimit64, 3, 0),
    IF(BPF_JEQ, SYS_sched_setparam, 2, 0),
    IF(BPF_JEQ, SYS_sched_setscheduler, 1, 0),
    IF(BPF_JEQ, SYS_sched_setattr, 0, 7),
    LOAD(args[0]),
    IF(BPF_JEQ, AGENT_PID, 4, 5),
    LOAD(args[0]),
    IF(BPF_JEQ, PRIO_USER, 2, 0), /* the agent is one of root's */
    LOAD(args[1]),
    IF(BPF_JEQ, AGENT_PID, 0, 1),
    REFUSE(EPERM),
    RETURN(SECCOMP_RET_ALLOW),
    LOAD(args[0]),
    IF(BPF_JEQ, AF_UNIX, 4, 0),
    IF(BPF_JEQ, AF_INET, 3, 0),
    IF(BPF_JEQ, AF_INET6, 2, 0),
    IF(BPF_JEQ, AF_NETLINK, 1, 0),
    REFUSE(EAFNOSUPPORT),
    RETURN(SECCOMP_RET_ALLOW),
};

int filter_system_calls(void)
{
    const struct sock_fprog all = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all, 0, 0);
}
