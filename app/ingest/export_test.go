package ingest

// Len is the number of endpoints that the cache remembers.
func (c *EndpointCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.slots)
}
