// One reason each for which an object is not taken.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if defined(KCONFIG)
extern int LINUX_KERNEL_VERSION __kconfig;
#define RESULT LINUX_KERNEL_VERSION
#elif defined(KSYM)
extern void bpf_kfunc_of_nobody(void) __ksym;
#define RESULT (bpf_kfunc_of_nobody(), 1)
#elif defined(CORE)
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
#define RESULT ((struct task_struct *)(long)ctx->data)->pid
#elif defined(LD_ABS)
#define RESULT ({ asm volatile("r6 = r1; r0 = *(u8 *)skb[0]" ::: "r0", "r6"); 1; })
#elif defined(STATIC)
#define FUNCTION static __attribute__((used)) int
#endif

#ifndef FUNCTION
#define FUNCTION int
#endif
#ifndef RESULT
#define RESULT 1
#endif
#ifndef SECTION
#define SECTION "xdp"
#endif

SEC(SECTION)
FUNCTION refused(struct xdp_md *ctx)
{
	return RESULT;
}

char _license[] SEC("license") = "GPL";
