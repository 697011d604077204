"""What system calls the containers of two versions may make: those of ordinary programs, and `personality`.

An engine's own profile refuses the personality without address space randomisation, and cannot be asked for what it
contains, so that nothing can be added to it. This one is of its kind: a list of what is allowed, everything else is
refused. It lets through what servers in any language need, and leaves out what administers a machine (mounts, modules,
clocks, quotas, key rings, BPF, performance counters), what looks into other processes, and what makes namespaces. It
serves processes that have no capability and can gain none (docker-compose.yml).

Sources: syscalls(2), personality(2), clone(2); docs.docker.com, "Seccomp security profiles for Docker".
"""

from __future__ import annotations

from typing import Any

ENOSYS = 38
NO_RANDOMISATION = 0x0040000  # ADDR_NO_RANDOMIZE, <linux/personality.h>
AS_IT_IS = 0xFFFFFFFF  # asks which one there is
NAMESPACES = 0x7E020000  # every CLONE_NEW... of <linux/sched.h>
ALLOWED = """
open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2
lseek stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents
getdents64 getcwd chdir fchdir mkdir mkdirat rmdir rename renameat renameat2 link linkat symlink symlinkat unlink
unlinkat chmod fchmod fchmodat chown fchown lchown fchownat umask utime utimes utimensat futimesat truncate ftruncate
fallocate fadvise64 readahead fsync fdatasync sync syncfs sync_file_range msync sendfile splice tee vmsplice
copy_file_range flock fcntl ioctl dup dup2 dup3 pipe pipe2 mknod mknodat getxattr lgetxattr fgetxattr listxattr
llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr inotify_init inotify_init1
inotify_add_watch inotify_rm_watch memfd_create
io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents ioprio_get ioprio_set
mmap munmap mremap mprotect madvise mincore brk mlock mlock2 munlock mlockall munlockall get_mempolicy pkey_alloc
pkey_free pkey_mprotect membarrier rseq shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv
msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
fork vfork execve execveat exit exit_group wait4 waitid getpid getppid gettid getpgid getpgrp setpgid getsid setsid
set_tid_address set_robust_list get_robust_list set_thread_area get_thread_area arch_prctl prctl seccomp
sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler sched_setscheduler
sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority setpriority
getrlimit setrlimit prlimit64 getrusage times sysinfo uname getcpu capget capset restart_syscall
pidfd_open pidfd_send_signal
getuid geteuid getgid getegid getgroups getresuid getresgid setuid setgid setreuid setregid setresuid setresgid
setgroups setfsuid setfsgid
kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo
rt_tgsigqueueinfo sigaltstack signalfd signalfd4 pause alarm getitimer setitimer
futex futex_waitv poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2
time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep timer_create timer_settime timer_gettime
timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime getrandom
socketpair bind listen accept accept4 connect getsockname getpeername getsockopt setsockopt sendto sendmsg
sendmmsg recvfrom recvmsg recvmmsg shutdown
landlock_create_ruleset landlock_add_rule landlock_restrict_self
"""
VSOCK = 40  # AF_VSOCK: it would reach the hypervisor


def profile() -> dict[str, Any]:
    """The profile as an engine reads it. Calls of other architectures than the machine's own are refused."""
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ALLOWED.split(), "action": "SCMP_ACT_ALLOW"},
            _where("personality", 0, 0, "SCMP_CMP_EQ"),
            _where("personality", 0, NO_RANDOMISATION, "SCMP_CMP_EQ"),
            _where("personality", 0, AS_IT_IS, "SCMP_CMP_EQ"),
            _where("socket", 0, VSOCK, "SCMP_CMP_NE"),
            _where("clone", 0, NAMESPACES, "SCMP_CMP_MASKED_EQ"),
            # Its flags lie in memory, where no filter sees them: libraries take clone instead.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
        ],
    }


def _where(name: str, index: int, value: int, operation: str) -> dict[str, Any]:
    """``name`` allowed where its argument ``index`` compares so; masked: where no bit of ``value`` is set."""
    condition: dict[str, Any] = {"index": index, "value": value, "op": operation}
    if operation == "SCMP_CMP_MASKED_EQ":
        condition["valueTwo"] = 0
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition]}
