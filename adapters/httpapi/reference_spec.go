package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
)

// specDoc is the part of an OpenAPI document that the reference page shows.
type specDoc struct {
	Info struct {
		Title, Version, Description string
	}
	Tags []struct {
		Name, Description string
	}
	Paths      map[string]map[string]specOperation
	Components struct {
		Parameters map[string]specParameter
		Responses  map[string]specResponse
		Schemas    map[string]specSchema
	}
}

type specOperation struct {
	OperationID string
	Tags        []string
	Summary     string
	Description string
	Parameters  []specParameter
	RequestBody *specResponse
	Responses   map[string]specResponse
}

type specParameter struct {
	Ref         string `json:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      specSchema
}

type specResponse struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct {
		Schema  specSchema
		Example any
	}
}

type specSchema struct {
	Ref         string `json:"$ref"`
	Type        string
	Format      string
	Description string
	Default     any
	Example     any
	Enum        []string
	Required    []string
	WriteOnly   bool
	Properties  map[string]specSchema
	Items       *specSchema
	AllOf       []specSchema
}

// whole adds the fields of the schemas that a schema is composed of.
func (d specDoc) whole(s specSchema) specSchema {
	if len(s.AllOf) == 0 {
		return s
	}
	s.Properties = maps.Clone(s.Properties)
	if s.Properties == nil {
		s.Properties = map[string]specSchema{}
	}
	for _, part := range s.AllOf {
		if part.Ref != "" {
			part = d.Components.Schemas[refName(part.Ref)]
		}
		part = d.whole(part)
		s.Required = append(s.Required, part.Required...)
		maps.Copy(s.Properties, part.Properties)
	}
	return s
}

type referenceView struct {
	Title, Version, Description string
	Groups                      []groupView
	Schemas                     []schemaView
}

type groupView struct {
	Name, Description string
	Operations        []operationView
}

type operationView struct {
	ID, Method, Path, Summary, Description string
	// Who may call it, by the permission table.
	Who        string
	Parameters []fieldView
	Body       *bodyView
	Answers    []bodyView
}

type bodyView struct {
	Status, MediaType, Description, Schema, Example string
}

type schemaView struct {
	Name, Description string
	Fields            []fieldView
	Enum              []string
	Example           string
}

type fieldView struct {
	Name, In, Type, Link, Description string
	Default                           string
	Required, WriteOnly               bool
}

// view arranges the document for reading: by tag, path and method.
func (d specDoc) view() referenceView {
	v := referenceView{Title: d.Info.Title, Version: d.Info.Version, Description: d.Info.Description}
	for _, tag := range d.Tags {
		g := groupView{Name: tag.Name, Description: tag.Description}
		for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
			for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
				if op := d.Paths[path][method]; slices.Contains(op.Tags, tag.Name) {
					g.Operations = append(g.Operations, d.operation(method, path, op))
				}
			}
		}
		v.Groups = append(v.Groups, g)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		s := d.whole(d.Components.Schemas[name])
		out := schemaView{Name: name, Description: s.Description, Enum: s.Enum, Example: exampleText(s.Example)}
		for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
			f := fieldOf(field, s.Properties[field])
			f.Required = slices.Contains(s.Required, field)
			out.Fields = append(out.Fields, f)
		}
		slices.SortStableFunc(out.Fields, func(a, b fieldView) int { return cmp.Compare(rank(a), rank(b)) })
		v.Schemas = append(v.Schemas, out)
	}
	return v
}

// rank puts the identifier first, then what is required.
func rank(f fieldView) int {
	switch {
	case f.Name == "id":
		return 0
	case f.Required:
		return 1
	default:
		return 2
	}
}

func (d specDoc) operation(method, path string, op specOperation) operationView {
	out := operationView{ID: op.OperationID, Method: strings.ToUpper(method), Path: path, Summary: op.Summary, Description: op.Description}
	if rule, ok := access.RuleOf(out.Method + " " + path); ok {
		out.Who = "everybody"
		if !rule.Public {
			out.Who = access.RolesWith(rule.Permission).String()
		}
	}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = d.Components.Parameters[refName(p.Ref)]
		}
		f := fieldOf(p.Name, p.Schema)
		f.In, f.Required, f.Description = p.In, p.Required, p.Description
		out.Parameters = append(out.Parameters, f)
	}
	if op.RequestBody != nil {
		b := d.bodyOf("", *op.RequestBody)
		out.Body = &b
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		if r.Ref != "" {
			r = d.Components.Responses[refName(r.Ref)]
		}
		out.Answers = append(out.Answers, d.bodyOf(status, r))
	}
	return out
}

// bodyOf shows an answer's or a request's own example, or that of its schema.
func (d specDoc) bodyOf(status string, r specResponse) bodyView {
	out := bodyView{Status: status, Description: r.Description}
	for _, media := range slices.Sorted(maps.Keys(r.Content)) {
		c := r.Content[media]
		out.MediaType, out.Schema = media, refName(c.Schema.Ref)
		example := c.Example
		if example == nil {
			example = d.Components.Schemas[out.Schema].Example
		}
		out.Example = exampleText(example)
	}
	return out
}

// exampleText shows an example as it would be sent.
func exampleText(example any) string {
	switch v := example.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(v)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(example) != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

func fieldOf(name string, s specSchema) fieldView {
	if len(s.AllOf) == 1 && s.Ref == "" { // a reference that may be null
		s.Ref = s.AllOf[0].Ref
	}
	f := fieldView{Name: name, Type: s.Type, Link: refName(s.Ref), Description: s.Description, WriteOnly: s.WriteOnly}
	switch {
	case s.Items != nil && s.Items.Ref != "":
		f.Type, f.Link = "array of", refName(s.Items.Ref)
	case s.Items != nil:
		f.Type = "array of " + s.Items.Type
	case s.Format == "date-time":
		f.Type = "RFC 3339 time"
	}
	if s.Default != nil {
		if raw, err := json.Marshal(s.Default); err == nil {
			f.Default = string(raw)
		}
	}
	return f
}

func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// richText renders the little Markdown that the description uses: paragraphs,
// lists of "* ", **bold** and `code`.
func richText(s string) template.HTML {
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(s), "\n\n") {
		if strings.HasPrefix(block, "* ") {
			out.WriteString("<ul>")
			for _, item := range strings.Split("\n"+block, "\n* ")[1:] {
				out.WriteString("<li>" + inline(item) + "</li>")
			}
			out.WriteString("</ul>")
			continue
		}
		out.WriteString("<p>" + inline(block) + "</p>")
	}
	return template.HTML(out.String()) //nolint:gosec // inline escapes every text before it adds tags
}

func inline(s string) string {
	s = template.HTMLEscapeString(s)
	for _, mark := range []struct{ sign, tag string }{{"**", "strong"}, {"`", "code"}} {
		parts := strings.Split(s, mark.sign)
		for i := 1; i+1 < len(parts); i += 2 {
			parts[i] = "<" + mark.tag + ">" + parts[i] + "</" + mark.tag + ">"
		}
		s = strings.Join(parts, "")
	}
	return s
}
