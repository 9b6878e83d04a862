import { Button, Stack, Text, Title } from "@mantine/core";
import { hrefs } from "./route.ts";

export function NotFoundPage() {
  return (
    <Stack align="center" gap="xs" py={80}>
      <Title order={1} size="h2">
        There is no such page
      </Title>
      <Text className="faint">The address may be mistyped.</Text>
      <Button component="a" href={hrefs.shop} mt="md">
        To the shop
      </Button>
    </Stack>
  );
}
