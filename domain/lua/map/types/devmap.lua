-- BPF_MAP_TYPE_DEVMAP (kernel/bpf/devmap.c): interfaces that packets are sent out of.
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local redirect_map = use("map/redirect/redirect_map")
local devmap = use("map/redirect/devmap")

-- __dev_map_update_elem(): interface 0 empties the slot.
local function update(m, key, value, flags)
  local i = arraymap.check_update(m, key, flags)
  local ifindex, fd = redirect_map.parse(value)
  if ifindex ~= 0 then return redirect_map.set(m, i, devmap.resolve(m, ifindex, fd)) end
  if fd then map.einval("a program needs an interface: ifindex must be > 0") end
  redirect_map.clear(m, i)
end

map.register("devmap", {
  alloc_check = devmap.alloc_check, alloc = devmap.alloc, lookup = redirect_map.lookup,
  update = update, delete = redirect_map.delete, next_key = arraymap.next_key,
  page = redirect_map.page, entries = fd_array.entries, free = redirect_map.free, clear = redirect_map.free,
  check_compatible = redirect_map.check_compatible, capability = "CAP_NET_ADMIN",
  check_btf = map_btf.unsupported
})
