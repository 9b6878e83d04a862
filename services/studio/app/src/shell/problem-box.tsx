import { Alert, type AlertProps, Text } from "@mantine/core";
import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { Problem } from "../mesh/problem.ts";
import classes from "./problem-box.module.css";

interface ProblemBoxProps extends AlertProps {
  readonly problem: Problem;
  /** What can be done about it. */
  readonly children?: ReactNode;
}

/** What went wrong and what helps, in words; the reason's name stays small, for whoever asks the operator. */
export function ProblemBox({ problem, children, ...props }: ProblemBoxProps) {
  return (
    <Alert
      classNames={{
        root: classes.box ?? "",
        title: classes.title ?? "",
        icon: classes.icon ?? "",
        message: classes.advice ?? "",
      }}
      data-remedy={problem.remedy}
      radius="lg"
      icon={<CircleAlert size={18} aria-hidden />}
      title={problem.title}
      role="alert"
      data-reason={problem.reason}
      {...props}
    >
      <Text size="sm">{problem.advice}</Text>
      <Text size="xs" mt={6} className="faint mono">
        {problem.reason}
      </Text>
      {children}
    </Alert>
  );
}
