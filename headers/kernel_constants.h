/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a BPF program takes from kernel headers and BTF does not hold: macros.
 *
 * Included after the kernel's types, which are vmlinux.h ahead of time and a cut of it under BCC.
 * Every constant can be given beforehand: under BCC the folder's kconfig.h does so with what it
 * finds in the running kernel's BTF and configuration. Numbers here are part of the kernel's
 * user-space interface, or have not changed since 4.20; what can change is written in terms of BTF.
 */
#ifndef BPFDUET_KERNEL_CONSTANTS_H
#define BPFDUET_KERNEL_CONSTANTS_H

/* The compiler's: linux/stddef.h, linux/compiler.h, linux/compiler_types.h */
#ifndef NULL
#define NULL ((void *)0)
#endif
#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif
#ifndef sizeof_field
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#endif
#ifndef container_of
#define container_of(pointer, type, member)                                                       \
	((type *)((char *)(pointer) - __builtin_offsetof(type, member)))
#endif
#ifndef __user
#define __user
#endif
#ifndef __kernel
#define __kernel
#endif
#ifndef __force
#define __force
#endif
#ifndef __percpu
#define __percpu
#endif
#ifndef __rcu
#define __rcu
#endif
#ifndef __iomem
#define __iomem
#endif
#ifndef __bitwise
#define __bitwise
#endif
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#ifndef __maybe_unused
#define __maybe_unused __attribute__((unused))
#endif
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif
#ifndef barrier
#define barrier() __asm__ __volatile__("" : : : "memory")
#endif
#ifndef READ_ONCE
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#endif
#ifndef WRITE_ONCE
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#endif

/* linux/kconfig.h: whether CONFIG_x is y (or m), as a constant expression */
#ifndef IS_ENABLED
#define __ARG_PLACEHOLDER_1 0,
#define __take_second_arg(ignored, value, ...) value
#define ____is_defined(one_or_junk) __take_second_arg(one_or_junk 1, 0)
#define ___is_defined(value) ____is_defined(__ARG_PLACEHOLDER_##value)
#define __is_defined(x) ___is_defined(x)
#define IS_BUILTIN(option) __is_defined(option)
#define IS_MODULE(option) __is_defined(option##_MODULE)
#define IS_ENABLED(option) (__is_defined(option) || __is_defined(option##_MODULE))
#endif

/* linux/array_size.h, vdso/bits.h, linux/minmax.h, linux/log2.h */
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#endif
#ifndef BIT
#define BIT(n) (1UL << (n))
#endif
#ifndef BIT_ULL
#define BIT_ULL(n) (1ULL << (n))
#endif
#ifndef min_t
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#endif
#ifndef max_t
#define max_t(type, a, b) ((type)(a) > (type)(b) ? (type)(a) : (type)(b))
#endif
#ifndef DIV_ROUND_UP
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#endif
/* A constant expression for a constant argument: map sizes are made with it. */
#ifndef roundup_pow_of_two
#define roundup_pow_of_two(n)                                                                     \
	((n) <= 1 ? 1UL : 1UL << (64 - __builtin_clzll((unsigned long long)(n) - 1)))
#endif

/* linux/kernel.h */
#ifndef READ
#define READ 0
#define WRITE 1
#endif

/* linux/limits.h of uapi, linux/limits.h, vdso/limits.h */
#ifndef NAME_MAX
#define NAME_MAX 255
#endif
#ifndef PATH_MAX
#define PATH_MAX 4096
#endif
#ifndef INT_MAX
#define INT_MAX ((int)(~0U >> 1))
#endif
#ifndef INT_MIN
#define INT_MIN (-INT_MAX - 1)
#endif
#ifndef UINT_MAX
#define UINT_MAX (~0U)
#endif
#ifndef LONG_MAX
#define LONG_MAX ((long)(~0UL >> 1))
#endif
#ifndef ULONG_MAX
#define ULONG_MAX (~0UL)
#endif
#ifndef U32_MAX
#define U32_MAX ((__u32)~0U)
#endif
#ifndef U64_MAX
#define U64_MAX ((__u64)~0ULL)
#endif

/* vdso/time64.h */
#ifndef NSEC_PER_SEC
#define NSEC_PER_SEC 1000000000L
#endif
#ifndef NSEC_PER_MSEC
#define NSEC_PER_MSEC 1000000L
#endif
#ifndef NSEC_PER_USEC
#define NSEC_PER_USEC 1000L
#endif
#ifndef USEC_PER_SEC
#define USEC_PER_SEC 1000000L
#endif
#ifndef MSEC_PER_SEC
#define MSEC_PER_SEC 1000L
#endif
/* asm-generic/param.h. Ahead of time the timer's frequency is only known to libbpf:
 * `extern int CONFIG_HZ __kconfig`.
 */
#if !defined(HZ) && defined(CONFIG_HZ)
#define HZ CONFIG_HZ
#endif
#ifndef USER_HZ
#define USER_HZ 100
#endif

/* asm/page.h. Where the page's size is a choice of the build it has no ahead-of-time value. */
#ifndef PAGE_SHIFT
#if defined(CONFIG_PAGE_SHIFT)
#define PAGE_SHIFT CONFIG_PAGE_SHIFT
#elif defined(CONFIG_ARM64_PAGE_SHIFT)
#define PAGE_SHIFT CONFIG_ARM64_PAGE_SHIFT
#elif defined(CONFIG_X86) || defined(__TARGET_ARCH_x86) || defined(__x86_64__)
#define PAGE_SHIFT 12
#endif
#endif
#if defined(PAGE_SHIFT) && !defined(PAGE_SIZE)
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#endif

/* asm/page_64_types.h of x86: where the direct map begins without KASLR, a lower bound with it */
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#ifndef __PAGE_OFFSET_BASE_L4
#define __PAGE_OFFSET_BASE_L4 0xffff888000000000UL
#endif
#ifndef __PAGE_OFFSET_BASE_L5
#define __PAGE_OFFSET_BASE_L5 0xff11000000000000UL
#endif
#endif

/* linux/mmzone.h: MAX_ORDER has meant two things, the array's length never has */
#ifndef NR_PAGE_ORDERS
#define NR_PAGE_ORDERS (sizeof(((struct zone *)0)->free_area) / sizeof(struct free_area))
#endif
#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER (NR_PAGE_ORDERS - 1)
#endif

/* linux/sched.h */
#ifndef TASK_RUNNING
#define TASK_RUNNING 0x0000
#endif
#ifndef TASK_INTERRUPTIBLE
#define TASK_INTERRUPTIBLE 0x0001
#endif
#ifndef TASK_UNINTERRUPTIBLE
#define TASK_UNINTERRUPTIBLE 0x0002
#endif
#ifndef PF_EXITING
#define PF_EXITING 0x00000004
#endif
#ifndef PF_KTHREAD
#define PF_KTHREAD 0x00200000
#endif

/* linux/sched.h of uapi */
#ifndef CLONE_VM
#define CLONE_VM 0x00000100
#define CLONE_FS 0x00000200
#define CLONE_FILES 0x00000400
#define CLONE_SIGHAND 0x00000800
#define CLONE_VFORK 0x00004000
#define CLONE_PARENT 0x00008000
#define CLONE_THREAD 0x00010000
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000
#endif

/* linux/security.h: flags of cap_capable() since 5.1 */
#ifndef CAP_OPT_NONE
#define CAP_OPT_NONE 0
#define CAP_OPT_NOAUDIT BIT(1)
#define CAP_OPT_INSETID BIT(2)
#endif

/* linux/stat.h of uapi */
#ifndef S_IFMT
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000
#endif
#ifndef S_ISREG
#define S_ISLNK(mode) (((mode) & S_IFMT) == S_IFLNK)
#define S_ISREG(mode) (((mode) & S_IFMT) == S_IFREG)
#define S_ISDIR(mode) (((mode) & S_IFMT) == S_IFDIR)
#define S_ISCHR(mode) (((mode) & S_IFMT) == S_IFCHR)
#define S_ISBLK(mode) (((mode) & S_IFMT) == S_IFBLK)
#define S_ISFIFO(mode) (((mode) & S_IFMT) == S_IFIFO)
#define S_ISSOCK(mode) (((mode) & S_IFMT) == S_IFSOCK)
#endif

/* asm-generic/fcntl.h of uapi. The flags that architectures disagree about are left out. */
#ifndef O_ACCMODE
#define O_ACCMODE 00000003
#define O_RDONLY 00000000
#define O_WRONLY 00000001
#define O_RDWR 00000002
#define O_CREAT 00000100
#define O_EXCL 00000200
#define O_TRUNC 00001000
#define O_APPEND 00002000
#define O_NONBLOCK 00004000
#define O_CLOEXEC 02000000
#endif
#ifndef AT_FDCWD
#define AT_FDCWD (-100)
#endif

/* linux/fs.h */
#ifndef FMODE_READ
#define FMODE_READ (1U << 0)
#endif
#ifndef FMODE_WRITE
#define FMODE_WRITE (1U << 1)
#endif
#ifndef FMODE_EXEC
#define FMODE_EXEC (1U << 5)
#endif
#ifndef FMODE_CREATED
#define FMODE_CREATED (1U << 20)
#endif

/* linux/kdev_t.h: the kernel's own dev_t, not user space's */
#ifndef MINORBITS
#define MINORBITS 20
#define MINORMASK ((1U << MINORBITS) - 1)
#define MAJOR(dev) ((unsigned int)((dev) >> MINORBITS))
#define MINOR(dev) ((unsigned int)((dev) & MINORMASK))
#define MKDEV(major, minor) (((major) << MINORBITS) | (minor))
#endif

/* linux/dcache.h: the most any kernel has had, for the size of a buffer */
#ifndef DNAME_INLINE_LEN
#define DNAME_INLINE_LEN 40
#endif

/* linux/blkdev.h, linux/blk_types.h: the operation is what lies below the first flag */
#ifndef DISK_NAME_LEN
/* a number: BCC cannot describe a key with an array whose size is an expression of types */
#define DISK_NAME_LEN 32
#endif
#ifndef REQ_OP_BITS
#define REQ_OP_BITS __REQ_FAILFAST_DEV
#endif
#ifndef REQ_OP_MASK
#define REQ_OP_MASK ((1U << REQ_OP_BITS) - 1)
#endif
#ifndef SECTOR_SHIFT
#define SECTOR_SHIFT 9
#endif

/* linux/err.h, linux/errno.h, asm-generic/errno-base.h and errno.h of uapi */
#ifndef MAX_ERRNO
#define MAX_ERRNO 4095
#endif
#ifndef IS_ERR_VALUE
#define IS_ERR_VALUE(x) ((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)
#endif
#ifndef IS_ERR
#define IS_ERR(pointer) IS_ERR_VALUE((unsigned long)(pointer))
#endif
#ifndef PTR_ERR
#define PTR_ERR(pointer) ((long)(pointer))
#endif
#ifndef EPERM
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EXDEV 18
#define ENODEV 19
#define ENOTDIR 20
#define EISDIR 21
#define EINVAL 22
#define ENFILE 23
#define EMFILE 24
#define ENOTTY 25
#define EFBIG 27
#define ENOSPC 28
#define ESPIPE 29
#define EROFS 30
#define EPIPE 32
#define ERANGE 34
#endif
#ifndef EOPNOTSUPP
#define EOPNOTSUPP 95
#define EADDRINUSE 98
#define EADDRNOTAVAIL 99
#define ENETUNREACH 101
#define ECONNABORTED 103
#define ECONNRESET 104
#define ENOBUFS 105
#define EISCONN 106
#define ENOTCONN 107
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EHOSTUNREACH 113
#define EALREADY 114
#define EINPROGRESS 115
#endif
#ifndef ERESTARTSYS
#define ERESTARTSYS 512
#endif

/* asm/signal.h of uapi: the numbers that all architectures but MIPS and Alpha share */
#ifndef SIGKILL
#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGABRT 6
#define SIGKILL 9
#define SIGSEGV 11
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#endif

/* linux/socket.h */
#ifndef AF_UNSPEC
#define AF_UNSPEC 0
#endif
#ifndef AF_UNIX
#define AF_UNIX 1
#endif
#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif
#ifndef AF_NETLINK
#define AF_NETLINK 16
#endif
#ifndef AF_PACKET
#define AF_PACKET 17
#endif
#ifndef SOL_SOCKET
#define SOL_SOCKET 1
#endif
#ifndef SCM_RIGHTS
#define SCM_RIGHTS 1
#endif

/* linux/if_ether.h of uapi */
#ifndef ETH_ALEN
#define ETH_ALEN 6
#endif
#ifndef ETH_HLEN
#define ETH_HLEN 14
#endif
#ifndef ETH_P_IP
#define ETH_P_IP 0x0800
#endif
#ifndef ETH_P_ARP
#define ETH_P_ARP 0x0806
#endif
#ifndef ETH_P_8021Q
#define ETH_P_8021Q 0x8100
#endif
#ifndef ETH_P_IPV6
#define ETH_P_IPV6 0x86DD
#endif
#ifndef IFNAMSIZ
#define IFNAMSIZ 16
#endif

/* linux/pkt_cls.h of uapi */
#ifndef TC_ACT_OK
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_OK 0
#define TC_ACT_SHOT 2
#define TC_ACT_STOLEN 4
#define TC_ACT_REDIRECT 7
#endif

/* net/tcp.h */
#ifndef TCPHDR_FIN
#define TCPHDR_FIN 0x01
#define TCPHDR_SYN 0x02
#define TCPHDR_RST 0x04
#define TCPHDR_PSH 0x08
#define TCPHDR_ACK 0x10
#define TCPHDR_URG 0x20
#define TCPHDR_ECE 0x40
#define TCPHDR_CWR 0x80
#endif

/* asm/byteorder.h */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BPFDUET_BE16(x) ((__be16)__builtin_bswap16((__u16)(x)))
#define BPFDUET_BE32(x) ((__be32)__builtin_bswap32((__u32)(x)))
#define BPFDUET_BE64(x) ((__be64)__builtin_bswap64((__u64)(x)))
#else
#define BPFDUET_BE16(x) ((__be16)(x))
#define BPFDUET_BE32(x) ((__be32)(x))
#define BPFDUET_BE64(x) ((__be64)(x))
#endif
#ifndef ntohs
#define ntohs(x) BPFDUET_BE16(x)
#endif
#ifndef htons
#define htons(x) BPFDUET_BE16(x)
#endif
#ifndef ntohl
#define ntohl(x) BPFDUET_BE32(x)
#endif
#ifndef htonl
#define htonl(x) BPFDUET_BE32(x)
#endif
#ifndef be16_to_cpu
#define be16_to_cpu(x) BPFDUET_BE16(x)
#endif
#ifndef be32_to_cpu
#define be32_to_cpu(x) BPFDUET_BE32(x)
#endif
#ifndef be64_to_cpu
#define be64_to_cpu(x) BPFDUET_BE64(x)
#endif
#ifndef cpu_to_be16
#define cpu_to_be16(x) BPFDUET_BE16(x)
#endif
#ifndef cpu_to_be32
#define cpu_to_be32(x) BPFDUET_BE32(x)
#endif

/* net/sock.h, net/inet_sock.h, linux/tcp.h: what programs call the members of sock_common */
#ifndef sk_family
#define sk_node __sk_common.skc_node
#define sk_refcnt __sk_common.skc_refcnt
#define sk_hash __sk_common.skc_hash
#define sk_dontcopy_begin __sk_common.skc_dontcopy_begin
#define sk_num __sk_common.skc_num
#define sk_dport __sk_common.skc_dport
#define sk_addrpair __sk_common.skc_addrpair
#define sk_daddr __sk_common.skc_daddr
#define sk_rcv_saddr __sk_common.skc_rcv_saddr
#define sk_family __sk_common.skc_family
#define sk_state __sk_common.skc_state
#define sk_reuse __sk_common.skc_reuse
#define sk_reuseport __sk_common.skc_reuseport
#define sk_ipv6only __sk_common.skc_ipv6only
#define sk_bound_dev_if __sk_common.skc_bound_dev_if
#define sk_prot __sk_common.skc_prot
#define sk_net __sk_common.skc_net
#define sk_v6_daddr __sk_common.skc_v6_daddr
#define sk_v6_rcv_saddr __sk_common.skc_v6_rcv_saddr
#define sk_cookie __sk_common.skc_cookie
#define sk_flags __sk_common.skc_flags
#endif
#ifndef inet_daddr
#define inet_daddr sk.__sk_common.skc_daddr
#define inet_rcv_saddr sk.__sk_common.skc_rcv_saddr
#define inet_dport sk.__sk_common.skc_dport
#define inet_num sk.__sk_common.skc_num
#endif
#ifndef tcp_sk
#define tcp_sk(sk) ((struct tcp_sock *)(sk))
#endif
#ifndef inet_sk
#define inet_sk(sk) ((struct inet_sock *)(sk))
#endif
#ifndef inet_csk
#define inet_csk(sk) ((struct inet_connection_sock *)(sk))
#endif

#endif
