-- What commands ask of a type of a BTF object, in the form that domain/btf/type_facts.ts writes.
local kernel = use("base/kernel")
local memo = use("base/memo")
local btf = use("btf/btf")
local call = redis.call

local btf_type = {}
local FACT_BYTES = 12
-- Flags of a fact.
local SIZED, IS_I32, GLOBAL_FUNC, RETURNS_SCALAR = 1, 2, 4, 8
local TYPES_MAX = 2147483647

btf_type.STRUCT, btf_type.FUNC, btf_type.DATASEC = 4, 12, 15

-- The type of a BTF object by its id, resolved: { id, kind, size (nil without one), is_i32, is_global_func,
-- returns_scalar }; nil where there is none.
function btf_type.read(btf_id, id)
  id = tonumber(id)
  if id == 0 or id > TYPES_MAX then return nil end
  local fact = call("GETRANGE", btf.types_key(btf_id), id * FACT_BYTES, (id + 1) * FACT_BYTES - 1)
  if #fact < FACT_BYTES then return nil end
  local size, resolved, kind, flags = struct.unpack("<I4I4BB", fact)
  local function has(flag) return bit.band(flags, flag) ~= 0 end
  return { id = resolved, kind = kind, size = has(SIZED) and size, is_i32 = has(IS_I32),
    is_global_func = has(GLOBAL_FUNC), returns_scalar = has(RETURNS_SCALAR) }
end

local parse_special = memo(cjson.decode)

-- The special fields of a struct or section: a list of { name, offset }, an errno, or nil.
function btf_type.special_fields(btf_id, id)
  local text = call("HGET", kernel.key("btf", btf_id), "special")
  return text and text ~= "" and parse_special(text)[tostring(id)] or nil
end

return btf_type
