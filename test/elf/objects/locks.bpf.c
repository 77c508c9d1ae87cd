// Values with a lock: in a map that BTF defines, nested, and among the variables.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct rate {
	struct bpf_spin_lock lock;
	__u32 tokens;
	__u64 packets, dropped;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct rate);
	__uint(max_entries, 16);
} rates SEC(".maps");

// Not one that may have locks: libbpf makes it without its BTF.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, __u32);
	__type(value, struct rate);
	__uint(max_entries, 16);
} recent SEC(".maps");

static struct bpf_spin_lock guard SEC(".data.guarded");
static __u64 total SEC(".data.guarded") = 1;

static __noinline int take(struct rate *rate)
{
	if (rate->tokens == 0)
		return 0;
	rate->tokens--;
	return 1;
}

SEC("tc")
int limit(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct rate first = { .tokens = 2 };
	struct rate *rate = bpf_map_lookup_elem(&rates, &key);
	int pass;

	if (!rate) {
		bpf_map_update_elem(&rates, &key, &first, BPF_NOEXIST);
		return 2;
	}
	bpf_spin_lock(&rate->lock);
	pass = take(rate);
	if (pass)
		rate->packets++;
	else
		rate->dropped++;
	bpf_spin_unlock(&rate->lock);
	return pass;
}

SEC("tc")
int reset(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct rate fresh = { .tokens = 9, .lock = { 7 } };

	return bpf_map_update_elem(&rates, &key, &fresh, BPF_EXIST | BPF_F_LOCK);
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	int n;

	bpf_spin_lock(&guard);
	n = ++total;
	bpf_spin_unlock(&guard);
	return n;
}

char _license[] SEC("license") = "GPL";
