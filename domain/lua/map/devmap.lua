-- What both kinds of devmaps share (kernel/bpf/devmap.c).
local map = use("map")
local redirect = use("redirect")

local FLAGS, RDONLY_PROG = 28, 128
-- The only interface, and BPF_XDP_DEVMAP.
local LOOPBACK, ATTACH = 1, 33

local devmap = {}

function devmap.alloc_check(attr)
  redirect.check_attributes(attr, FLAGS)
end

-- dev_map_init_map(): programs get to see what is in the slots, and may not change it.
function devmap.alloc(attr)
  attr.map_flags = attr.map_flags + RDONLY_PROG
end

-- __dev_map_alloc_node(): whatever is wrong is EINVAL.
function devmap.resolve(m, ifindex, fd)
  if ifindex ~= LOOPBACK then map.invalid("there is no interface " .. ifindex) end
  local prog = fd and redirect.resolve(m, fd, ATTACH)
  if fd and not prog then
    map.invalid("fd " .. fd .. " is no xdp program with expected_attach_type " .. ATTACH
      .. " and fragments as this map's")
  end
  return ifindex, prog
end

return devmap
