-- Checks of attributes that map types share.
local kernel = use("base/kernel")
local map = use("map/map")
local uapi = use("uapi")
local band = bit.band

local map_attr = {}

-- What an fd may do, and what programs may.
map_attr.RDONLY_WRONLY = uapi.BPF_F_RDONLY + uapi.BPF_F_WRONLY
map_attr.ACCESS_PROG = uapi.BPF_F_RDONLY_PROG + uapi.BPF_F_WRONLY_PROG
local RDONLY_WRONLY, ACCESS_PROG = map_attr.RDONLY_WRONLY, map_attr.ACCESS_PROG

local known, names = {}, {}
for number, name in pairs(uapi.BPF_MAP_TYPES) do
  known[name], known[tostring(number)] = name, name
  names[#names + 1] = name
end
table.sort(names)

map_attr.TYPE_NAMES = table.concat(names, ", ")

-- The name of a type by its name or number; nil for an unknown one.
function map_attr.type_of(text)
  local name = known[text]
  return name and map.types[name] and name
end

-- bpf_map_flags_access_ok() and the type's own mask of flags.
function map_attr.check_flags(attr, mask)
  if band(attr.map_flags, bit.bnot(mask + uapi.BPF_F_NUMA_NODE + RDONLY_WRONLY + ACCESS_PROG)) ~= 0 then
    map.einval("map_flags " .. attr.map_flags .. " has a flag that a " .. attr.map_type
      .. " does not support")
  end
  if band(attr.map_flags, ACCESS_PROG) == ACCESS_PROG then
    map.einval("map_flags must not have both BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG")
  end
end

-- bpf_obj_name_cpy()
function map_attr.check_name(name, field)
  if #name > 15 or name:find("[^%w_.]") then
    map.einval(field .. " must be at most 15 letters, digits, _ or ., got " .. #name .. " bytes: "
      .. kernel.prefix(name, 32))
  end
end

return map_attr
