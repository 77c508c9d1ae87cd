-- What every command shares: the names of keys, the table of commands, and the way to fail.
-- Invariant: a command checks everything before its first write, so failing is raising: there is
-- nothing to roll back, and syscall.lua turns what was raised into data.
local call = redis.call

-- sys: every command by its name, each put there by the file that has it.
-- first_half: commands that answer a request only in part; see syscall.lua.
local kernel = { sys = {}, first_half = {} }

-- bpf:{ns}:noun or bpf:{ns}:noun:id; the only place where a key gets its name.
function kernel.key(noun, id)
  if id then return current.root .. noun .. ":" .. id end
  return current.root .. noun
end

-- The values of these fields in their order, each from the first of two tables that has it; false for none.
function kernel.list_fields(fields, first, second)
  local row = {}
  for i, field in ipairs(fields) do row[i] = first[field] or second[field] or false end
  return row
end

-- field: the argument that is wrong, where the detail does not begin with its name.
function kernel.fail(errno, detail, field)
  error({ errno = errno, detail = detail or "", field = field }, 0)
end

-- The longest beginning of a text of at most so many bytes that cuts no character of UTF-8.
function kernel.prefix(text, size)
  local after = text:byte(size + 1)
  local cut = text:sub(1, size)
  if after and after >= 0x80 and after < 0xC0 then cut = cut:gsub("[\192-\255][\128-\191]*$", "") end
  return cut
end

-- Like BUG_ON: a broken invariant is a fault of this service, never of the caller.
function kernel.bug(what)
  error("BUG: " .. what, 0)
end

-- Before a write that a reading command makes now and then: the service sends the call once more, to the
-- function that may write.
function kernel.need_writes()
  if not current.writes then error({ errno = "WRITES", detail = "the call has to write" }, 0) end
end

-- The next number of a counter that never goes back.
function kernel.increment(counter)
  return call("HINCRBY", current.meta, counter, 1)
end

return kernel
