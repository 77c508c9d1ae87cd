-- Checks that both kinds of devmaps share (kernel/bpf/devmap.c).
local map = use("map/map")
local map_attr = use("map/map_attr")
local redirect_map = use("map/redirect/redirect_map")
local uapi = use("uapi")

local FLAGS = uapi.BPF_F_NUMA_NODE + map_attr.RDONLY_WRONLY
-- The only interface.
local LOOPBACK, ATTACH = 1, uapi.BPF_XDP_DEVMAP

local devmap = {}

function devmap.alloc_check(attr)
  redirect_map.check_attributes(attr, FLAGS)
end

-- dev_map_init_map(): programs read the slots and must not change them.
function devmap.alloc(attr)
  attr.map_flags = attr.map_flags + uapi.BPF_F_RDONLY_PROG
end

-- __dev_map_alloc_node(): every failure is EINVAL.
function devmap.resolve(m, ifindex, fd)
  if ifindex ~= LOOPBACK then map.einval("there is no interface " .. ifindex .. ", only 1 (loopback)") end
  local prog = fd and redirect_map.get_prog_id(m, fd, ATTACH)
  if fd and not prog then
    map.einval("fd " .. fd .. " must be an xdp program with expected_attach_type " .. ATTACH
      .. " and the BPF_F_XDP_HAS_FRAGS of this map")
  end
  return ifindex, prog
end

return devmap
