// Every kind of section that an object has: maps by BTF, data, functions shared by programs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct flow {
	__u32 address;
	__u16 port;
	__u8 flags : 3, kind : 5;
	char tag[5];
};

enum verdict { PASS, DROP = 7 };

struct stats {
	__u64 packets;
	__u64 bytes;
	enum verdict last;
};

struct prefix {
	__u32 length;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow);
	__type(value, struct stats);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(max_entries, 3);
} a_very_long_map_name SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, int);
	__type(value, long);
	__uint(max_entries, 2);
} per_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct prefix);
	__type(value, __u32);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__type(value, __u32);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__type(value, __u32);
	__uint(max_entries, 4);
} jobs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 32);
	__uint(map_flags, BPF_F_NUMA_NODE);
	__uint(numa_node, 0);
} recent SEC(".maps");

const volatile __u32 limit = 1500;
const volatile char greeting[8] = "hello";
__u64 threshold = 40;
int total;
static int calls;
const volatile __u16 extra SEC(".rodata.extra") = 9;
__u32 custom SEC(".data.custom_section_name") = 11;
static volatile const __u32 hidden SEC(".rodata.hidden") = 5;

static __noinline int add(int a, int b)
{
	calls++;
	return a + b;
}

static __noinline int twice(int a)
{
	return add(a, a) + 1;
}

__noinline int shared(__u32 mark)
{
	return mark ? twice(mark) : 0;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	struct flow flow = {};
	struct stats first = { .packets = 1 }, *stats;

	flow.address = ctx->ingress_ifindex;
	stats = bpf_map_lookup_elem(&flows, &flow);
	if (stats)
		__sync_fetch_and_add(&stats->packets, 1);
	else
		bpf_map_update_elem(&flows, &flow, &first, BPF_ANY);
	total += shared(ctx->rx_queue_index);
	if (ctx->data_end - ctx->data > limit + extra + hidden)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&a_very_long_map_name, &key);

	if (value)
		*value += skb->len;
	bpf_printk("len %d", skb->len);
	return add(skb->len, custom) > threshold ? 2 : 0;
}

SEC("socket")
int take(struct __sk_buff *skb)
{
	return greeting[0];
}

SEC("?xdp")
int left_out(struct xdp_md *ctx)
{
	return XDP_ABORTED;
}

SEC("xdp.frags")
int fragments(struct xdp_md *ctx)
{
	return shared(1);
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return 1;
}

char _license[] SEC("license") = "Dual MIT/GPL";
