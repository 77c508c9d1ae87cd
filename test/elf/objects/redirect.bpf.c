// Maps that packets are redirected by, and perf_event_arrays with as many entries as there are CPUs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
	__uint(max_entries, 4);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 8);
} by_name SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
	__uint(max_entries, 2);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, int);
	__type(value, int);
} events SEC(".maps");

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	__u64 seen = ctx->rx_queue_index;
	long told = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &seen, sizeof(seen));

	return told == -2 ? bpf_redirect_map(&ports, 1, XDP_PASS) : XDP_ABORTED;
}

SEC("xdp/devmap")
int leave(struct xdp_md *ctx)
{
	return ctx->egress_ifindex == 1 ? XDP_PASS : XDP_DROP;
}

SEC("xdp/cpumap")
int arrive(struct xdp_md *ctx)
{
	return bpf_redirect_map(&cpus, 1, XDP_DROP);
}

SEC("xdp")
int named(struct xdp_md *ctx)
{
	return bpf_redirect_map(&by_name, 7, XDP_DROP);
}

char _license[] SEC("license") = "GPL";
