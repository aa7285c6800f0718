package stripefake

import (
	"bytes"
	"encoding/json"
	"strings"
)

// expandAll replaces ids by the objects they name, along the expand[] paths.
func (r *realm) expandAll(body []byte, paths []string) ([]byte, *apiError) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, serverError()
	}
	for _, p := range paths {
		if len(strings.Split(p, ".")) > 5 {
			return nil, invalid("", "expand", "You cannot expand more than 4 levels of a property: %s", p)
		}
		if !r.expandPath(tree, strings.Split(p, ".")) {
			return nil, invalid("", "expand", "This property cannot be expanded (%s).", p)
		}
	}
	return render(tree), nil
}

func (r *realm) expandPath(at any, path []string) bool {
	if len(path) == 0 {
		return true
	}
	switch v := at.(type) {
	case []any:
		for _, e := range v {
			if !r.expandPath(e, path) {
				return false
			}
		}
		return true
	case map[string]any:
		value, ok := v[path[0]]
		if !ok {
			return false
		}
		if value == nil {
			return true
		}
		if id, isID := value.(string); isID {
			o := r.find(id)
			if o == nil {
				return false
			}
			var fresh any
			if json.Unmarshal(render(o), &fresh) != nil {
				return false
			}
			v[path[0]], value = fresh, fresh
		}
		if ids, isList := value.([]any); isList && len(path) == 1 {
			for i := range ids {
				if id, isID := ids[i].(string); isID {
					ids[i] = r.find(id)
				}
			}
			return true
		}
		return r.expandPath(value, path[1:])
	}
	return false
}

// find looks an object up by the prefix of its id.
func (r *realm) find(id string) any {
	prefix, _, _ := strings.Cut(id, "_")
	switch prefix {
	case "cus":
		return lookup(r.customers, id)
	case "pm":
		return lookup(r.methods, id)
	case "prod":
		return lookup(r.products, id)
	case "price":
		return lookup(r.prices, id)
	case "sub":
		return lookup(r.subs, id)
	case "in":
		return lookup(r.invoices, id)
	case "ii":
		return lookup(r.items, id)
	case "cn":
		return lookup(r.notes, id)
	case "pi":
		return lookup(r.intents, id)
	case "ch":
		return lookup(r.charges, id)
	case "re":
		return lookup(r.refunds, id)
	case "seti":
		return lookup(r.setups, id)
	case "cs":
		return lookup(r.sessions, id)
	case "dp":
		return lookup(r.disputes, id)
	}
	return nil
}

func lookup[T record](c *collection[T], id string) any {
	if o, ok := c.get(id); ok {
		return o
	}
	return nil
}
