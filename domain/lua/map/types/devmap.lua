-- BPF_MAP_TYPE_DEVMAP (kernel/bpf/devmap.c): interfaces that packets are sent out of.
local map = use("map")
local index = use("index")
local fd_array = use("fd_array")
local redirect = use("redirect")
local devmap = use("devmap")

-- __dev_map_update_elem(): interface 0 empties the slot.
local function update(m, key, value, flags)
  local i = index.check_update(m, key, flags)
  local ifindex, fd = redirect.parse(value)
  if ifindex ~= 0 then return redirect.set(m, i, devmap.resolve(m, ifindex, fd)) end
  if fd then map.invalid("a program without an interface") end
  redirect.clear(m, i)
end

return { alloc_check = devmap.alloc_check, alloc = devmap.alloc, lookup = redirect.lookup,
  update = update, delete = redirect.delete, next_key = index.next_key, page = redirect.page,
  entries = fd_array.entries, free = redirect.free, adopt = redirect.adopt, needs = "CAP_NET_ADMIN" }
